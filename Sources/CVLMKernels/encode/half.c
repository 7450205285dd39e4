// f32 <-> f16 and bf16 in integer arithmetic, so that the result depends on no compiler library and
// no rounding mode; and the statistics of row-major tensors.
#include <math.h>
#include <string.h>

#include "../detect/features.h"
#include "../include/vlm_encode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

void vlm_f16_from_f32(size_t count, const float *x, uint16_t *y) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t bits = bits_of(x[i]);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t size = bits & 0x7fffffff;
    // Below 2^-14 f16 counts in steps of 2^-24, which is the last bit of an f32 in [0.5, 1).
    const uint32_t small = bits_of(float_of(size) + 0.5f) - 0x3f000000;
    // Rebias the exponent by 112; half of the last kept bit, or just less when that bit is even.
    const uint32_t normal = (size - 0x38000000 + 0x0fff + (size >> 13 & 1)) >> 13;
    const uint32_t nan = 0x7e00 | (size >> 13 & 0x1ff);
    uint32_t half = size < 0x38800000 ? small : normal;
    half = size >= 0x47800000 ? 0x7c00 : half;  // 65536 and above
    half = size > 0x7f800000 ? nan : half;
    y[i] = (uint16_t)(sign | half);
  }
}

void vlm_bf16_from_f32(size_t count, const float *x, uint16_t *y) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t bits = bits_of(x[i]);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const uint32_t nan = bits >> 16 | 0x40;
    y[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
  }
}

#if defined(__x86_64__)
// Every finite f16 is exactly one f32, and the instruction too makes NaN quiet.
__attribute__((target("avx,f16c"))) static size_t f32_from_f16_by_eight(
    size_t count, const uint8_t *x, float *y) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + 2 * i))));
  return i;
}
#endif

void vlm_f32_from_f16(size_t count, const void *halves, float *y) {
  const uint8_t *const x = halves;
  size_t i = 0;
#if defined(__x86_64__)
  if (vlm_machine_has(VLM_FEATURE_AVX2)) i = f32_from_f16_by_eight(count, x, y);
#endif
  for (; i < count; i++) {
    uint16_t half;
    memcpy(&half, x + 2 * i, sizeof half);
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t size = half & 0x7fff;
    const uint32_t small = bits_of((float)size * 0x1p-24f);
    const uint32_t normal = (size << 13) + 0x38000000;
    const uint32_t special = 0x7f800000 | size << 13 | (size > 0x7c00 ? 0x400000 : 0);
    uint32_t bits = size < 0x0400 ? small : normal;
    bits = size >= 0x7c00 ? special : bits;
    y[i] = float_of(sign | bits);
  }
}

void vlm_f32_from_bf16(size_t count, const void *halves, float *y) {
  for (size_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy(&half, (const char *)halves + i * sizeof half, sizeof half);
    const uint32_t quiet = (half & 0x7fff) > 0x7f80 ? 0x400000 : 0;
    y[i] = float_of((uint32_t)half << 16 | quiet);
  }
}

void vlm_encode_compare(size_t count, const float *w, const float *v, vlm_encode_stats *stats) {
  stats->count += count;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(w[i])) {
      stats->not_finite++;
    } else if (!isfinite(v[i])) {
      stats->overflowed++;
    } else {
      const double a = w[i], b = v[i], error = fabs(a - b);
      stats->sum_squared_error += error * error;
      stats->sum_squared_value += a * a;
      stats->sum_squared_decoded += b * b;
      stats->dot += a * b;
      if (error > stats->max_abs_error) stats->max_abs_error = error;
    }
  }
}
