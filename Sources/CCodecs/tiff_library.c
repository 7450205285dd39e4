#include "tiff_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "include/image_libraries.h"

struct vlm_tiff_library vlm_tiff_library;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure;

static void load(void) {
  void *handle = dlopen("libtiff.so.6", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    // The text belongs to the thread, until its next call of this kind.
    static char reason[256];
    const char *text = dlerror();
    snprintf(reason, sizeof reason, "%s", text ? text : "libtiff.so.6: cannot be loaded");
    failure = reason;
    return;
  }
  const struct {
    void *to;
    const char *name;
  } functions[] = {
      {&vlm_tiff_library.options_alloc, "TIFFOpenOptionsAlloc"},
      {&vlm_tiff_library.options_free, "TIFFOpenOptionsFree"},
      {&vlm_tiff_library.options_max_alloc, "TIFFOpenOptionsSetMaxSingleMemAlloc"},
      {&vlm_tiff_library.options_on_error, "TIFFOpenOptionsSetErrorHandlerExtR"},
      {&vlm_tiff_library.options_on_warning, "TIFFOpenOptionsSetWarningHandlerExtR"},
      {&vlm_tiff_library.open, "TIFFClientOpenExt"},
      {&vlm_tiff_library.close, "TIFFClose"},
      {&vlm_tiff_library.get, "TIFFGetField"},
      {&vlm_tiff_library.get_defaulted, "TIFFGetFieldDefaulted"},
      {&vlm_tiff_library.set, "TIFFSetField"},
      {&vlm_tiff_library.is_tiled, "TIFFIsTiled"},
      {&vlm_tiff_library.scanline_size, "TIFFScanlineSize64"},
      {&vlm_tiff_library.strip_size, "TIFFStripSize64"},
      {&vlm_tiff_library.tile_size, "TIFFTileSize64"},
      {&vlm_tiff_library.tile_row_size, "TIFFTileRowSize64"},
      {&vlm_tiff_library.read_scanline, "TIFFReadScanline"},
      {&vlm_tiff_library.strip_of, "TIFFComputeStrip"},
      {&vlm_tiff_library.read_strip, "TIFFReadEncodedStrip"},
      {&vlm_tiff_library.tile_of, "TIFFComputeTile"},
      {&vlm_tiff_library.read_tile, "TIFFReadEncodedTile"},
      {&vlm_tiff_library.read_rgba_strip, "TIFFReadRGBAStripExt"},
      {&vlm_tiff_library.read_rgba_tile, "TIFFReadRGBATileExt"},
      {&vlm_tiff_library.has_codec, "TIFFIsCODECConfigured"},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(handle, functions[i].name);
    if (!function) {
      failure = "libtiff.so.6: lacks functions of libtiff 4.5";
      return;
    }
    memcpy(functions[i].to, &function, sizeof function);
  }
}

const char *vlm_tiff_load(void) {
  pthread_once(&once, load);
  return failure;
}
