// The two passes of Pillow's resampling of 8-bit pixels; the contract is in image_codecs.h.
//
// Exactness: bit-exact with Pillow given its weights. A sum stays inside 32 bits: the weights of a
// sample add up to 2^22, and the worst filter's absolute weights to less than twice that.

#include <stdlib.h>

#include "include/image_codecs.h"

#define PRECISION_BITS 22

static inline uint8_t to_sample(int32_t sum) {
  const int32_t value = sum >> PRECISION_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void vlm_resample_rows_rgb8(
    const uint8_t *in, size_t in_width, uint8_t *out, size_t out_width, size_t rows,
    const vlm_taps *taps, const int32_t *weights, size_t stride) {
  for (size_t y = 0; y < rows; y++) {
    const uint8_t *row = in + y * in_width * 3;
    uint8_t *to = out + y * out_width * 3;
    for (size_t i = 0; i < out_width; i++) {
      const uint8_t *pixel = row + (size_t)taps[i].first * 3;
      const int32_t *w = weights + i * stride;
      int32_t r = 1 << (PRECISION_BITS - 1), g = r, b = r;
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

void vlm_resample_columns_rgb8(
    const uint8_t *in, size_t width, uint8_t *out, size_t out_height, const vlm_taps *taps,
    const int32_t *weights, size_t stride) {
  // A strip of sums that stays in the first-level cache while the taps run down the rows.
  enum { strip = 768 };
  int32_t sums[strip];
  const size_t row = width * 3;
  for (size_t i = 0; i < out_height; i++) {
    const int32_t *w = weights + i * stride;
    for (size_t start = 0; start < row; start += strip) {
      const size_t count = row - start < strip ? row - start : strip;
      for (size_t x = 0; x < count; x++) sums[x] = 1 << (PRECISION_BITS - 1);
      for (int32_t t = 0; t < taps[i].count; t++) {
        const uint8_t *from = in + (size_t)(taps[i].first + t) * row + start;
        const int32_t weight = w[t];
        for (size_t x = 0; x < count; x++) sums[x] += from[x] * weight;
      }
      for (size_t x = 0; x < count; x++) out[i * row + start + x] = to_sample(sums[x]);
    }
  }
}

bool vlm_image_can_allocate(size_t size) {
  void *volatile memory = malloc(size ? size : 1);
  free(memory);
  return memory != NULL;
}
