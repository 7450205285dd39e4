// 8 floats of AVX2 under the names that lanes/*.inc use; lanes/README.md.
#ifndef VLM_LANES_AVX2_H
#define VLM_LANES_AVX2_H

#define VLM_GELU_PIECES 8
/// Output columns of one pass of the depthwise kernel: 8 sums, 7 weights and an input are all 16
/// registers.
enum { VF = 8, VLM_DEPTHWISE_COLUMNS = 8 };
/// Rows of a tile of attention.inc, and its columns in steps of 16: 12 sums.
enum { VLM_ATTENTION_ROWS = 6, VLM_ATTENTION_PANELS = 1 };
/// Rows and outputs of a tile of multiply.inc: 12 sums, 3 inputs and a weight are all 16 registers.
enum { VLM_MULTIPLY_ROWS = 3, VLM_MULTIPLY_OUTPUTS = 4 };

typedef __m256 vf;

/// All bits set in the first n of 8 lanes.
VLM_INLINE __m256i vf_mask(size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

VLM_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VLM_INLINE vf vf_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, vf_mask(n)); }
VLM_INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
VLM_INLINE void vf_store_n(float *p, vf v, size_t n) { _mm256_maskstore_ps(p, vf_mask(n), v); }
VLM_INLINE vf vf_load_i32(const int32_t *p) {
  return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)p));
}
VLM_INLINE vf vf_set1(float f) { return _mm256_set1_ps(f); }
VLM_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VLM_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VLM_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VLM_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VLM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VLM_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VLM_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VLM_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VLM_INLINE vf vf_lookup(const float *table, vf index) {
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_castps_si256(index));
}
VLM_INLINE vf vf_rint(vf a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VLM_INLINE unsigned vf_at_least(vf a, vf b) {
  return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
VLM_INLINE vf vf_select_gt(vf a, vf b, vf yes, vf no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
VLM_INLINE vf vf_exp2_int(vf n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
VLM_INLINE vf vf_scale_exp2(vf v, vf n) {
  return vf_mul(v, vf_exp2_int(vf_max(vf_set1(-126), n)));
}
VLM_INLINE vf vf_load_f16(const uint16_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
VLM_INLINE vf vf_load_i8(const int8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
VLM_INLINE void vf_store_f16(uint16_t *p, vf v) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
VLM_INLINE void vf_store_i8(int8_t *p, vf v) {
  const __m256i wide = _mm256_cvtps_epi32(v);
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
}
/// bf16 in the upper halves of the lanes, ties to even; the lower halves are undefined.
VLM_INLINE __m256i vf_round_bf16(vf v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
  return _mm256_castps_si256(_mm256_blendv_ps(
      _mm256_castsi256_ps(rounded), _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), nan));
}
VLM_INLINE void vf_store_bf16(uint16_t *p, vf v) {
  const __m256i wide = _mm256_srli_epi32(vf_round_bf16(v), 16);
  _mm_storeu_si128(
      (__m128i *)p,
      _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1)));
}
VLM_INLINE void vf_store_bf16_pairs(uint16_t *p, vf even, vf odd) {
  const __m256i low = _mm256_srli_epi32(vf_round_bf16(even), 16);
  _mm256_storeu_si256((__m256i *)p, _mm256_blend_epi16(low, vf_round_bf16(odd), 0xaa));
}
VLM_INLINE vf vf_load_bf16_even(const uint16_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}
VLM_INLINE vf vf_load_bf16_odd(const uint16_t *p) {
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  return _mm256_castsi256_ps(
      _mm256_and_si256(_mm256_loadu_si256((const __m256i *)p), upper));
}
VLM_INLINE float vf_sum(vf v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE float vf_lowest(vf v) {
  const __m128 half = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_min_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_min_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE float vf_highest(vf v) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE void vf_store_u8(uint8_t *p, vf v) {
  const __m256i wide = _mm256_cvtps_epi32(v);
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}
VLM_INLINE void vf_store_u8_n(uint8_t *p, vf v, size_t n) {
  uint8_t bytes[VF];
  vf_store_u8(bytes, v);
  for (size_t i = 0; i < n; i++) p[i] = bytes[i];
}

#endif
