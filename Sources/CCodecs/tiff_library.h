// The functions of libtiff that are used, resolved when first needed.

#ifndef TIFF_LIBRARY_H
#define TIFF_LIBRARY_H

#include <stdarg.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct tiff TIFF;
typedef int message_function(TIFF *, void *user, const char *module, const char *format, va_list);
typedef ssize_t transfer_function(void *user, void *bytes, ssize_t count);

// Names without the prefix TIFF; NULL before vlm_tiff_load has succeeded.
struct vlm_tiff_library {
  void *(*options_alloc)(void);
  void (*options_free)(void *);
  void (*options_max_alloc)(void *, ssize_t);
  void (*options_on_error)(void *, message_function *, void *user);
  void (*options_on_warning)(void *, message_function *, void *user);
  TIFF *(*open)(
      const char *name, const char *mode, void *user, transfer_function *read,
      transfer_function *write, uint64_t (*seek)(void *, uint64_t, int), int (*close)(void *),
      uint64_t (*size)(void *), int (*map)(void *, void **, uint64_t *),
      void (*unmap)(void *, void *, uint64_t), void *options);
  void (*close)(TIFF *);
  int (*get)(TIFF *, uint32_t tag, ...);
  int (*get_defaulted)(TIFF *, uint32_t tag, ...);
  int (*set)(TIFF *, uint32_t tag, ...);
  int (*is_tiled)(TIFF *);
  uint64_t (*scanline_size)(TIFF *);
  uint64_t (*strip_size)(TIFF *);
  uint64_t (*tile_size)(TIFF *);
  uint64_t (*tile_row_size)(TIFF *);
  int (*read_scanline)(TIFF *, void *, uint32_t row, uint16_t sample);
  uint32_t (*strip_of)(TIFF *, uint32_t row, uint16_t sample);
  ssize_t (*read_strip)(TIFF *, uint32_t strip, void *, ssize_t);
  uint32_t (*tile_of)(TIFF *, uint32_t x, uint32_t y, uint32_t z, uint16_t sample);
  ssize_t (*read_tile)(TIFF *, uint32_t tile, void *, ssize_t);
  int (*read_rgba_strip)(TIFF *, uint32_t row, uint32_t *, int stops);
  int (*read_rgba_tile)(TIFF *, uint32_t x, uint32_t y, uint32_t *, int stops);
  int (*has_codec)(uint16_t);
};

extern struct vlm_tiff_library vlm_tiff_library;

#endif
