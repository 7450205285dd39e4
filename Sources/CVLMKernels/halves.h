// f16, bf16 and float, as plain arithmetic.
#ifndef VLM_HALVES_H
#define VLM_HALVES_H

#include "internal.h"

/// The bf16 nearest to a value, ties to even; NaN stays NaN.
VLM_INLINE uint16_t vlm_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return 0x7fc0;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// The value of a bf16.
VLM_INLINE float vlm_from_bf16(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

/// The value of an f16.
static inline float vlm_from_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  float value;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = ldexpf((float)fraction, -24);
  } else {
    value = ldexpf((float)(fraction | 1024), exponent - 25);
  }
  return bits & 0x8000 ? -value : value;
}

/// The f16 nearest to a value, ties to even.
static inline uint16_t vlm_to_f16(float value) {
  const uint16_t sign = signbit(value) ? 0x8000 : 0;
  const float size = fabsf(value);
  if (isnan(value)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00; // half a step past the largest, and what is above
  if (size < 0x1p-14f) return sign | (uint16_t)rintf(size * 0x1p24f); // 1024 is the first normal
  int exponent; // size = 2^exponent * fraction, fraction in [1/2, 1)
  const float fraction = frexpf(size, &exponent);
  // A fraction that rounds up to 2048 carries into the exponent by the sum.
  return sign | (uint16_t)(((exponent + 13) << 10) + (int)rintf(fraction * 2048));
}

#endif
