// Decodes HEIF from memory with libheif, which is loaded when first needed.

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/image_libraries.h"

struct heif_error {
  int code, subcode;
  const char *message;
};

// Values from heif.h.
enum {
  ERROR_INPUT_MISSING = 1,
  ERROR_UNSUPPORTED_FILE = 3,
  ERROR_UNSUPPORTED_FEATURE = 4,
  ERROR_MEMORY = 6,
  COMPRESSION_HEVC = 1,
  COMPRESSION_AV1 = 4,
  COLORSPACE_RGB = 1,
  CHROMA_RGB = 10,
  CHROMA_RGBA = 11,
  CHANNEL_INTERLEAVED = 10,
};

static struct {
  struct heif_error (*init)(void *);
  void *(*alloc)(void);
  void (*free)(void *);
  void (*set_threads)(void *, int);
  struct heif_error (*read)(void *, const void *, size_t, const void *options);
  struct heif_error (*primary)(void *, void **handle);
  void (*release_handle)(const void *);
  int (*width)(const void *);
  int (*height)(const void *);
  int (*has_alpha)(const void *);
  struct heif_error (*decode)(const void *, void **image, int space, int chroma, const void *);
  int (*is_multiplied)(const void *image);
  int (*image_width)(const void *, int channel);
  int (*image_height)(const void *, int channel);
  const uint8_t *(*plane)(const void *, int channel, int *stride);
  void (*release_image)(const void *);
  int (*has_decoder)(int format);
} library;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure;

static void load(void) {
  void *handle = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    // The text belongs to the thread, until its next call of this kind.
    static char reason[256];
    const char *text = dlerror();
    snprintf(reason, sizeof reason, "%s", text ? text : "libheif.so.1: cannot be loaded");
    failure = reason;
    return;
  }
  const struct {
    void *to;
    const char *name;
  } functions[] = {
      {&library.init, "heif_init"},
      {&library.alloc, "heif_context_alloc"},
      {&library.free, "heif_context_free"},
      {&library.set_threads, "heif_context_set_max_decoding_threads"},
      {&library.read, "heif_context_read_from_memory_without_copy"},
      {&library.primary, "heif_context_get_primary_image_handle"},
      {&library.release_handle, "heif_image_handle_release"},
      {&library.width, "heif_image_handle_get_width"},
      {&library.height, "heif_image_handle_get_height"},
      {&library.has_alpha, "heif_image_handle_has_alpha_channel"},
      {&library.decode, "heif_decode_image"},
      {&library.is_multiplied, "heif_image_is_premultiplied_alpha"},
      {&library.image_width, "heif_image_get_width"},
      {&library.image_height, "heif_image_get_height"},
      {&library.plane, "heif_image_get_plane_readonly"},
      {&library.release_image, "heif_image_release"},
      {&library.has_decoder, "heif_have_decoder_for_format"},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(handle, functions[i].name);
    if (!function) {
      failure = "libheif.so.1: lacks functions of libheif 1.13";
      return;
    }
    memcpy(functions[i].to, &function, sizeof function);
  }
  const struct heif_error error = library.init(NULL);
  if (error.code != 0) failure = "libheif.so.1: cannot start";
}

const char *vlm_heif_load(void) {
  pthread_once(&once, load);
  return failure;
}

struct vlm_heif {
  void *context, *handle, *image;
  uint32_t width, height;
  bool has_alpha, is_multiplied;
  const uint8_t *plane;
  size_t stride;
};

static vlm_image_status fail(
    vlm_image_status status, const char *text, vlm_image_message *message) {
  snprintf(message->text, sizeof message->text, "%s", text ? text : "unknown error");
  return status;
}

static vlm_image_status judge(struct heif_error error, vlm_image_message *message) {
  if (error.code == 0) return VLM_IMAGE_OK;
  vlm_image_status status = VLM_IMAGE_CORRUPT;
  if (error.code == ERROR_MEMORY) status = VLM_IMAGE_NO_MEMORY;
  if (error.code == ERROR_UNSUPPORTED_FILE || error.code == ERROR_UNSUPPORTED_FEATURE) {
    status = VLM_IMAGE_UNSUPPORTED;
  }
  return fail(status, error.message, message);
}

void vlm_heif_close(vlm_heif *decoder) {
  if (!decoder) return;
  if (decoder->image) library.release_image(decoder->image);
  if (decoder->handle) library.release_handle(decoder->handle);
  if (decoder->context) library.free(decoder->context);
  free(decoder);
}

static vlm_image_status read_header(
    vlm_heif *decoder, const uint8_t *bytes, size_t count, vlm_heif_header *header,
    vlm_image_message *message) {
  decoder->context = library.alloc();
  if (!decoder->context) return fail(VLM_IMAGE_NO_MEMORY, "out of memory", message);
  // Single-threaded: if a thread cannot be created, the library would end the process.
  library.set_threads(decoder->context, 0);
  vlm_image_status status =
      judge(library.read(decoder->context, bytes, count, NULL), message);
  if (status != VLM_IMAGE_OK) return status;
  status = judge(library.primary(decoder->context, &decoder->handle), message);
  if (status != VLM_IMAGE_OK) return status;
  const int width = library.width(decoder->handle), height = library.height(decoder->handle);
  if (width <= 0 || height <= 0) {
    return fail(VLM_IMAGE_CORRUPT, "a picture without a size", message);
  }
  decoder->width = header->width = (uint32_t)width;
  decoder->height = header->height = (uint32_t)height;
  decoder->has_alpha = header->has_alpha = library.has_alpha(decoder->handle) != 0;
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_heif_open(
    const uint8_t *bytes, size_t count, bool is_av1, vlm_heif **result, vlm_heif_header *header,
    vlm_image_message *message) {
  *result = NULL;
  if (!library.has_decoder(is_av1 ? COMPRESSION_AV1 : COMPRESSION_HEVC)) {
    return fail(VLM_IMAGE_UNSUPPORTED, "", message);
  }
  vlm_heif *decoder = calloc(1, sizeof *decoder);
  if (!decoder) return fail(VLM_IMAGE_NO_MEMORY, "out of memory", message);
  const vlm_image_status status = read_header(decoder, bytes, count, header, message);
  if (status == VLM_IMAGE_OK) {
    *result = decoder;
  } else {
    vlm_heif_close(decoder);
  }
  return status;
}

vlm_image_status vlm_heif_decode(vlm_heif *decoder, vlm_image_message *message) {
  const vlm_image_status status = judge(
      library.decode(
          decoder->handle, &decoder->image, COLORSPACE_RGB,
          decoder->has_alpha ? CHROMA_RGBA : CHROMA_RGB, NULL),
      message);
  if (status != VLM_IMAGE_OK) return status;
  int stride = 0;
  decoder->plane = library.plane(decoder->image, CHANNEL_INTERLEAVED, &stride);
  const int width = library.image_width(decoder->image, CHANNEL_INTERLEAVED);
  const int height = library.image_height(decoder->image, CHANNEL_INTERLEAVED);
  if (!decoder->plane || width < 0 || (uint32_t)width != decoder->width || height < 0 ||
      (uint32_t)height != decoder->height ||
      (int64_t)stride < (int64_t)width * (decoder->has_alpha ? 4 : 3)) {
    return fail(VLM_IMAGE_CORRUPT, "the picture's own size is another than stated", message);
  }
  decoder->stride = (size_t)stride;
  decoder->is_multiplied = decoder->has_alpha && library.is_multiplied(decoder->image);
  return VLM_IMAGE_OK;
}

void vlm_heif_row(const vlm_heif *decoder, uint32_t y, uint8_t *samples) {
  const uint8_t *row = decoder->plane + y * decoder->stride;
  memcpy(samples, row, (size_t)decoder->width * (decoder->has_alpha ? 4 : 3));
  if (!decoder->is_multiplied) return;
  for (uint32_t x = 0; x < decoder->width; x++, samples += 4) {
    const unsigned alpha = samples[3];
    for (int c = 0; c < 3 && alpha != 0; c++) {
      const unsigned value = (255u * samples[c] + alpha / 2) / alpha;
      samples[c] = (uint8_t)(value > 255 ? 255 : value);
    }
  }
}
