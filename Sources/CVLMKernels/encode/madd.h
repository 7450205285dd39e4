// Included once per instruction set, of 16-bit numbers: `vlm_madd`, the sum of the products of two
// neighbours, and `vlm_scale`, (a * b + 2^14) >> 15, where a and b are not both -2^15.

typedef int16_t short_lanes __attribute__((ext_vector_type(32)));

#if defined(VLM_MADD_512)
VLM_INLINE int_lanes vlm_madd(short_lanes a, short_lanes b) {
  return (int_lanes)_mm512_madd_epi16((__m512i)a, (__m512i)b);
}
VLM_INLINE short_lanes vlm_scale(short_lanes a, short_lanes b) {
  return (short_lanes)_mm512_mulhrs_epi16((__m512i)a, (__m512i)b);
}
#elif defined(VLM_MADD_256)
VLM_INLINE int_lanes vlm_madd(short_lanes a, short_lanes b) {
  __m256i x[2], y[2];
  memcpy(x, &a, sizeof x);
  memcpy(y, &b, sizeof y);
  for (int i = 0; i < 2; i++) x[i] = _mm256_madd_epi16(x[i], y[i]);
  int_lanes result;
  memcpy(&result, x, sizeof result);
  return result;
}
VLM_INLINE short_lanes vlm_scale(short_lanes a, short_lanes b) {
  __m256i x[2], y[2];
  memcpy(x, &a, sizeof x);
  memcpy(y, &b, sizeof y);
  for (int i = 0; i < 2; i++) x[i] = _mm256_mulhrs_epi16(x[i], y[i]);
  short_lanes result;
  memcpy(&result, x, sizeof result);
  return result;
}
#elif defined(__SSE2__)
VLM_INLINE int_lanes vlm_madd(short_lanes a, short_lanes b) {
  __m128i x[4], y[4];
  memcpy(x, &a, sizeof x);
  memcpy(y, &b, sizeof y);
  for (int i = 0; i < 4; i++) x[i] = _mm_madd_epi16(x[i], y[i]);
  int_lanes result;
  memcpy(&result, x, sizeof result);
  return result;
}
#else
VLM_INLINE int_lanes vlm_madd(short_lanes a, short_lanes b) {
  const int_lanes x = (int_lanes)a, y = (int_lanes)b;
  return (x << 16 >> 16) * (y << 16 >> 16) + (x >> 16) * (y >> 16);
}
#endif

#if !defined(VLM_MADD_512) && !defined(VLM_MADD_256)
typedef int32_t wide_short_lanes __attribute__((ext_vector_type(32)));

VLM_INLINE short_lanes vlm_scale(short_lanes a, short_lanes b) {
  const wide_short_lanes x = __builtin_convertvector(a, wide_short_lanes);
  const wide_short_lanes y = __builtin_convertvector(b, wide_short_lanes);
  return __builtin_convertvector((x * y + 16384) >> 15, short_lanes);
}
#endif
