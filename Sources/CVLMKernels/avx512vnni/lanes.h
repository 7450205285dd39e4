// 16 floats of AVX-512 under the names that lanes/*.inc use; lanes/README.md.
#ifndef VLM_LANES_AVX512VNNI_H
#define VLM_LANES_AVX512VNNI_H

#define VLM_GELU_PIECES 16
/// Output columns of one pass of the depthwise kernel: 12 sums hide the latency of vfmadd, and 7
/// weights stay in registers.
enum { VF = 16, VLM_DEPTHWISE_COLUMNS = 12 };
/// Rows of a tile of attention.inc, and its columns in steps of 16: 24 sums.
enum { VLM_ATTENTION_ROWS = 12, VLM_ATTENTION_PANELS = 2 };
#define VLM_TAKE_OUTLIERS "../avx512vnni/take_outliers.inc"
/// Rows and outputs of a tile of multiply.inc: 24 sums, 4 inputs and a weight of 32 registers.
enum { VLM_MULTIPLY_ROWS = 4, VLM_MULTIPLY_OUTPUTS = 6 };

typedef __m512 vf;

VLM_INLINE __mmask16 vf_mask(size_t n) { return (__mmask16)((1u << n) - 1); }

VLM_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VLM_INLINE vf vf_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(vf_mask(n), p); }
VLM_INLINE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
VLM_INLINE void vf_store_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, vf_mask(n), v); }
VLM_INLINE vf vf_load_i32(const int32_t *p) {
  return _mm512_cvtepi32_ps(_mm512_loadu_si512((const void *)p));
}
VLM_INLINE vf vf_set1(float f) { return _mm512_set1_ps(f); }
VLM_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VLM_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VLM_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VLM_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VLM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VLM_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VLM_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VLM_INLINE vf vf_abs(vf a) { return _mm512_abs_ps(a); }
VLM_INLINE vf vf_lookup(const float *table, vf index) {
  return _mm512_permutexvar_ps(_mm512_castps_si512(index), _mm512_loadu_ps(table));
}
VLM_INLINE vf vf_rint(vf a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VLM_INLINE unsigned vf_at_least(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
VLM_INLINE vf vf_select_gt(vf a, vf b, vf yes, vf no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}
VLM_INLINE vf vf_exp2_int(vf n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}
VLM_INLINE vf vf_scale_exp2(vf v, vf n) { return _mm512_scalef_ps(v, n); }
VLM_INLINE vf vf_load_f16(const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
VLM_INLINE vf vf_load_i8(const int8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
VLM_INLINE void vf_store_f16(uint16_t *p, vf v) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
VLM_INLINE void vf_store_i8(int8_t *p, vf v) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
/// bf16 in the upper halves of the lanes, ties to even.
VLM_INLINE __m512i vf_round_bf16(vf v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000));
}
VLM_INLINE void vf_store_bf16(uint16_t *p, vf v) {
  _mm256_storeu_si256(
      (__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(vf_round_bf16(v), 16)));
}
VLM_INLINE void vf_store_bf16_pairs(uint16_t *p, vf even, vf odd) {
  const __m512i low = _mm512_srli_epi32(vf_round_bf16(even), 16);
  _mm512_storeu_si512((void *)p, _mm512_mask_blend_epi16(0xaaaaaaaa, low, vf_round_bf16(odd)));
}
VLM_INLINE vf vf_load_bf16_even(const uint16_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512((const void *)p), 16));
}
VLM_INLINE vf vf_load_bf16_odd(const uint16_t *p) {
  return _mm512_castsi512_ps(_mm512_and_si512(
      _mm512_loadu_si512((const void *)p), _mm512_set1_epi32((int)0xffff0000)));
}
VLM_INLINE float vf_sum(vf v) { return _mm512_reduce_add_ps(v); }
VLM_INLINE float vf_lowest(vf v) { return _mm512_reduce_min_ps(v); }
VLM_INLINE float vf_highest(vf v) { return _mm512_reduce_max_ps(v); }
VLM_INLINE void vf_store_u8_n(uint8_t *p, vf v, size_t n) {
  _mm512_mask_cvtusepi32_storeu_epi8(p, vf_mask(n), _mm512_cvtps_epi32(v));
}
VLM_INLINE void vf_store_u8(uint8_t *p, vf v) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(v)));
}

#endif
