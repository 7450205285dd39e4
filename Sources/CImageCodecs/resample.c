// The two passes of Pillow's resampling of 8-bit pixels; the contract is in image_codecs.h.
//
// Exactness: bit-exact with Pillow given its weights. A sum stays inside 32 bits: the weights of a
// sample add up to 2^22, and the worst filter's absolute weights to less than twice that.

#include <malloc.h>
#include <stdlib.h>

#include "include/image_codecs.h"

#define PRECISION_BITS 22

static inline uint8_t to_sample(int32_t sum) {
  const int32_t value = sum >> PRECISION_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void vlm_resample_rows_rgb8(
    const uint8_t *in, size_t in_width, uint8_t *out, size_t out_width, size_t rows,
    const vlm_taps *taps, const int32_t *weights, const int32_t *fill_weights,
    const uint8_t fill[3]) {
  for (size_t y = 0; y < rows; y++) {
    const uint8_t *row = in + y * in_width * 3;
    uint8_t *to = out + y * out_width * 3;
    for (size_t i = 0; i < out_width; i++) {
      const uint8_t *pixel = row + (size_t)taps[i].first * 3;
      const int32_t *w = weights + taps[i].offset;
      const int32_t around = fill_weights[i], half = 1 << (PRECISION_BITS - 1);
      int32_t r = half + fill[0] * around, g = half + fill[1] * around,
              b = half + fill[2] * around;
      for (int32_t t = 0; t < taps[i].count; t++) {
        r += pixel[3 * t] * w[t];
        g += pixel[3 * t + 1] * w[t];
        b += pixel[3 * t + 2] * w[t];
      }
      to[3 * i] = to_sample(r);
      to[3 * i + 1] = to_sample(g);
      to[3 * i + 2] = to_sample(b);
    }
  }
}

void vlm_resample_begin(
    int32_t *sums, size_t count, const uint8_t *fill, int32_t fill_weight) {
  for (size_t x = 0; x < count; x++) sums[x] = (1 << (PRECISION_BITS - 1)) + fill[x] * fill_weight;
}

void vlm_resample_add(
    int32_t *sums, size_t count, const uint8_t *in, size_t stride, size_t rows,
    const int32_t *weights) {
  // Sums that stay in the first-level cache while the taps run down the rows.
  enum { piece = 768 };
  for (size_t start = 0; start < count; start += piece) {
    const size_t width = count - start < piece ? count - start : piece;
    int32_t *to = sums + start;
    for (size_t t = 0; t < rows; t++) {
      const uint8_t *from = in + t * stride + start;
      const int32_t weight = weights[t];
      for (size_t x = 0; x < width; x++) to[x] += from[x] * weight;
    }
  }
}

void vlm_resample_end(const int32_t *sums, size_t count, uint8_t *out) {
  for (size_t x = 0; x < count; x++) out[x] = to_sample(sums[x]);
}

bool vlm_image_can_allocate(size_t size) {
  void *volatile memory = malloc(size ? size : 1);
  free(memory);
  return memory != NULL;
}

void vlm_image_release_memory(void) { malloc_trim(0); }
