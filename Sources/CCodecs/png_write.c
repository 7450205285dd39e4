// Encodes PNG to memory with libpng's simplified API, which reports errors without longjmp.

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "include/image_codecs.h"

static png_image description(uint32_t width, uint32_t height) {
  png_image image;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  return image;
}

uint8_t *vlm_png_write_rgb8(
    const uint8_t *samples, uint32_t width, uint32_t height, size_t *count) {
  png_image image = description(width, height);
  png_alloc_size_t size = 0;
  if (!png_image_write_get_memory_size(image, size, 0, samples, 0, NULL)) return NULL;
  uint8_t *bytes = malloc(size);
  if (!bytes) return NULL;
  // A new description, because the measuring call may have changed the first one.
  image = description(width, height);
  if (!png_image_write_to_memory(&image, bytes, &size, 0, samples, 0, NULL)) {
    free(bytes);
    return NULL;
  }
  *count = size;
  return bytes;
}
