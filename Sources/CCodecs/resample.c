// The two passes of Pillow's resampling of 8-bit pixels. The contract is in image_codecs.h.
//
// Bit-identical to Pillow for equal weights. A sum fits into 32 bits: the weights of a sample add
// up to 2^22, and the absolute weights of the worst filter to less than twice that.

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "include/image_codecs.h"

#define PRECISION_BITS 22

static inline uint8_t to_sample(int32_t sum) {
  const int32_t value = sum >> PRECISION_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// The reference implementation: one sample of each channel.
static inline void resample_pixel(
    const uint8_t *pixel, const int32_t *w, int32_t count, const int32_t start[3], uint8_t *to) {
  int32_t r = start[0], g = start[1], b = start[2];
  for (int32_t t = 0; t < count; t++) {
    r += pixel[3 * t] * w[t];
    g += pixel[3 * t + 1] * w[t];
    b += pixel[3 * t + 2] * w[t];
  }
  to[0] = to_sample(r);
  to[1] = to_sample(g);
  to[2] = to_sample(b);
}

#if defined(__SSE2__)

// Number of tap pairs that fit into registers beside the sums.
#define MAXIMUM_PAIRS 256
#define LOW_BITS 11

// The multiply instruction with the highest throughput takes 16-bit operands, but weights have 24
// bits with their sign. So each weight is split into its lower 11 bits and the rest, and the
// products are recombined. Integer sums stay the same.
static void resample_column(
    const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, size_t rows,
    const int32_t *w, int32_t count, const int32_t start[3]) {
  const int32_t pairs = count / 2;
  int32_t low[MAXIMUM_PAIRS], high[MAXIMUM_PAIRS];
  const int32_t mask = (1 << LOW_BITS) - 1;
  for (int32_t t = 0; t < pairs; t++) {
    const int32_t first = w[2 * t], second = w[2 * t + 1];
    low[t] = (first & mask) | (second & mask) << 16;
    high[t] = (int32_t)((uint16_t)(first >> LOW_BITS) | (uint32_t)(second >> LOW_BITS) << 16);
  }
  const __m128i zero = _mm_setzero_si128();
  for (size_t y = 0; y < rows; y++) {
    const uint8_t *pixel = in + y * in_stride;
    __m128i lows = zero, highs = zero;
    for (int32_t t = 0; t < pairs; t++) {
      int32_t first, second;
      memcpy(&first, pixel + 6 * t, 4);
      // Loads the second pixel with the preceding byte, which is shifted out.
      memcpy(&second, pixel + 6 * t + 2, 4);
      const __m128i both = _mm_unpacklo_epi8(
          _mm_cvtsi32_si128(first), _mm_srli_epi32(_mm_cvtsi32_si128(second), 8));
      const __m128i samples = _mm_unpacklo_epi8(both, zero);
      lows = _mm_add_epi32(lows, _mm_madd_epi16(samples, _mm_set1_epi32(low[t])));
      highs = _mm_add_epi32(highs, _mm_madd_epi16(samples, _mm_set1_epi32(high[t])));
    }
    int32_t sums[4];
    _mm_storeu_si128((__m128i *)sums, _mm_add_epi32(lows, _mm_slli_epi32(highs, LOW_BITS)));
    for (int c = 0; c < 3; c++) sums[c] += start[c];
    resample_pixel(pixel + 6 * pairs, w + 2 * pairs, count & 1, sums, out + y * out_stride);
  }
}

#else

#define MAXIMUM_PAIRS 0

static void resample_column(
    const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, size_t rows,
    const int32_t *w, int32_t count, const int32_t start[3]) {
  for (size_t y = 0; y < rows; y++) {
    resample_pixel(in + y * in_stride, w, count, start, out + y * out_stride);
  }
}

#endif

void vlm_resample_rows_rgb8(
    const uint8_t *in, size_t in_width, uint8_t *out, size_t out_width, size_t rows,
    const vlm_taps *taps, const int32_t *weights, const int32_t *fill_weights,
    const uint8_t fill[3]) {
  for (size_t i = 0; i < out_width; i++) {
    const uint8_t *first = in + (size_t)taps[i].first * 3;
    const int32_t *w = weights + taps[i].offset;
    int32_t start[3];
    for (int c = 0; c < 3; c++) start[c] = (1 << (PRECISION_BITS - 1)) + fill[c] * fill_weights[i];
    if (taps[i].count <= 2 * MAXIMUM_PAIRS || MAXIMUM_PAIRS == 0) {
      resample_column(
          first, in_width * 3, out + 3 * i, out_width * 3, rows, w, taps[i].count, start);
      continue;
    }
    for (size_t y = 0; y < rows; y++) {
      resample_pixel(
          first + y * in_width * 3, w, taps[i].count, start, out + (y * out_width + i) * 3);
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
  // A block of sums that stays in the L1 cache while the taps iterate over the rows.
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
