// 4 floats of SSE4.1 under the names that lanes/*.inc use; lanes/README.md.
#ifndef VLM_LANES_SSE41_H
#define VLM_LANES_SSE41_H

#define VLM_GELU_PIECES 0 // no lookup of floats in a register
/// Output columns of one pass of the depthwise kernel: 4 sums, 7 weights, an input and its copy,
/// which the multiplication overwrites, of 16 registers.
enum { VF = 4, VLM_DEPTHWISE_COLUMNS = 4 };
#define VLM_ATTENTION_PRODUCT "../sse41/attention_product.inc"
/// Rows and outputs of a tile of multiply.inc: 9 sums, 3 inputs, a weight and a copy.
enum { VLM_MULTIPLY_ROWS = 3, VLM_MULTIPLY_OUTPUTS = 3 };

typedef __m128 vf;

VLM_INLINE vf vf_load(const float *p) { return _mm_loadu_ps(p); }
VLM_INLINE vf vf_load_n(const float *p, size_t n) {
  float lanes[VF] = {0};
  for (size_t i = 0; i < n; i++) lanes[i] = p[i];
  return _mm_loadu_ps(lanes);
}
VLM_INLINE void vf_store(float *p, vf v) { _mm_storeu_ps(p, v); }
VLM_INLINE void vf_store_n(float *p, vf v, size_t n) {
  float lanes[VF];
  _mm_storeu_ps(lanes, v);
  for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}
VLM_INLINE vf vf_load_i32(const int32_t *p) {
  return _mm_cvtepi32_ps(_mm_loadu_si128((const __m128i *)p));
}
VLM_INLINE vf vf_set1(float f) { return _mm_set1_ps(f); }
VLM_INLINE vf vf_add(vf a, vf b) { return _mm_add_ps(a, b); }
VLM_INLINE vf vf_sub(vf a, vf b) { return _mm_sub_ps(a, b); }
VLM_INLINE vf vf_mul(vf a, vf b) { return _mm_mul_ps(a, b); }
VLM_INLINE vf vf_div(vf a, vf b) { return _mm_div_ps(a, b); }
/// Rounded twice. A running sum is added to in its own register: left the choice, clang writes it
/// over the product, so that the sums of a loop wander through the registers and are spilled.
VLM_INLINE vf vf_fma(vf a, vf b, vf c) {
  const vf product = _mm_mul_ps(a, b);
  if (__builtin_constant_p(c[0])) return _mm_add_ps(product, c); // from memory
  __asm__("addps %1, %0" : "+x"(c) : "x"(product));
  return c;
}
VLM_INLINE vf vf_min(vf a, vf b) { return _mm_min_ps(a, b); }
VLM_INLINE vf vf_max(vf a, vf b) { return _mm_max_ps(a, b); }
VLM_INLINE vf vf_abs(vf a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a); }
VLM_INLINE vf vf_rint(vf a) {
  return _mm_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VLM_INLINE unsigned vf_at_least(vf a, vf b) {
  return (unsigned)_mm_movemask_ps(_mm_cmpge_ps(a, b));
}
VLM_INLINE vf vf_select_gt(vf a, vf b, vf yes, vf no) {
  return _mm_blendv_ps(no, yes, _mm_cmpgt_ps(a, b));
}
VLM_INLINE vf vf_exp2_int(vf n) {
  const __m128i biased = _mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127));
  return _mm_castsi128_ps(_mm_slli_epi32(biased, 23));
}
VLM_INLINE vf vf_scale_exp2(vf v, vf n) {
  return vf_mul(v, vf_exp2_int(vf_max(vf_set1(-126), n)));
}

/// Finite halves in the lower words of the lanes, sign-extended. Exponent and fraction in a float's
/// place are 2^-112 times the value, subnormals too.
VLM_INLINE vf vf_scale_f16(__m128i halves) {
  const __m128i placed =
      _mm_and_si128(_mm_slli_epi32(halves, 13), _mm_set1_epi32((int)0x8fffe000));
  return _mm_mul_ps(_mm_castsi128_ps(placed), _mm_set1_ps(0x1p112f));
}
/// Any halves: an exponent of all ones stays one.
VLM_INLINE vf vf_from_f16(__m128i halves) {
  const vf v = vf_scale_f16(halves);
  const vf special = _mm_cmpge_ps(vf_abs(v), _mm_set1_ps(0x1p16f));
  return _mm_or_ps(v, _mm_and_ps(special, _mm_set1_ps(INFINITY)));
}
VLM_INLINE vf vf_load_f16(const uint16_t *p) {
  return vf_from_f16(_mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
/// 16 halves. Finite ones, which nearly all are, take half as many instructions.
VLM_INLINE void vf_load_16_f16(const uint16_t *p, vf v[4]) {
  const __m128i ones = _mm_set1_epi16(0x7c00);
  const __m128i low = _mm_and_si128(_mm_loadu_si128((const __m128i *)p), ones);
  const __m128i high = _mm_and_si128(_mm_loadu_si128((const __m128i *)(p + 8)), ones);
  const __m128i special = _mm_or_si128(_mm_cmpeq_epi16(low, ones), _mm_cmpeq_epi16(high, ones));
  if (__builtin_expect(_mm_movemask_epi8(special) != 0, 0)) {
    for (size_t j = 0; j < 4; j++) v[j] = vf_load_f16(p + j * VF);
    return;
  }
  for (size_t j = 0; j < 4; j++) {
    const __m128i wide = _mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(p + j * VF)));
    v[j] = vf_scale_f16(wide);
  }
}
/// Rounded to nearest even by float additions and integer arithmetic, as vlm_f16_from_f32 does.
VLM_INLINE void vf_store_f16(uint16_t *p, vf v) {
  const __m128i bits = _mm_castps_si128(v);
  const __m128i size = _mm_and_si128(bits, _mm_set1_epi32(0x7fffffff));
  // Below 2^-14 f16 counts in steps of 2^-24, which is the last bit of an f32 in [0.5, 1).
  const __m128i small = _mm_sub_epi32(
      _mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(size), _mm_set1_ps(0.5f))),
      _mm_set1_epi32(0x3f000000));
  // The exponent has another bias; half of the last kept bit, or just less when that bit is even.
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(size, 13), _mm_set1_epi32(1));
  const __m128i normal = _mm_srli_epi32(
      _mm_add_epi32(_mm_add_epi32(size, odd), _mm_set1_epi32(0x0fff - 0x38000000)), 13);
  __m128i half =
      _mm_blendv_epi8(normal, small, _mm_cmpgt_epi32(_mm_set1_epi32(0x38800000), size));
  const __m128i large = _mm_cmpgt_epi32(size, _mm_set1_epi32(0x477fffff)); // 65536 and above
  half = _mm_blendv_epi8(half, _mm_set1_epi32(0x7c00), large);
  const __m128i nan = _mm_cmpgt_epi32(size, _mm_set1_epi32(0x7f800000));
  half = _mm_blendv_epi8(half, _mm_set1_epi32(0x7e00), nan);
  const __m128i sign = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(0x8000));
  const __m128i both = _mm_or_si128(half, sign);
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi32(both, both));
}
VLM_INLINE vf vf_load_i8(const int8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)));
}
VLM_INLINE void vf_store_i8(int8_t *p, vf v) {
  const __m128i wide = _mm_cvtps_epi32(v), words = _mm_packs_epi32(wide, wide);
  const int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
  memcpy(p, &four, sizeof four);
}
/// bf16 in the upper halves of the lanes, ties to even; the lower halves are undefined.
VLM_INLINE __m128i vf_round_bf16(vf v) {
  const __m128i bits = _mm_castps_si128(v);
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
  const __m128i rounded = _mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(0x7fff)));
  const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(v, v));
  return _mm_blendv_epi8(rounded, _mm_set1_epi32(0x7fc00000), nan);
}
VLM_INLINE void vf_store_bf16(uint16_t *p, vf v) {
  const __m128i wide = _mm_srli_epi32(vf_round_bf16(v), 16);
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi32(wide, wide));
}
VLM_INLINE void vf_store_bf16_pairs(uint16_t *p, vf even, vf odd) {
  const __m128i low = _mm_srli_epi32(vf_round_bf16(even), 16);
  _mm_storeu_si128((__m128i *)p, _mm_blend_epi16(low, vf_round_bf16(odd), 0xaa));
}
VLM_INLINE vf vf_load_bf16_even(const uint16_t *p) {
  return _mm_castsi128_ps(_mm_slli_epi32(_mm_loadu_si128((const __m128i *)p), 16));
}
VLM_INLINE vf vf_load_bf16_odd(const uint16_t *p) {
  const __m128i upper = _mm_set1_epi32((int)0xffff0000);
  return _mm_castsi128_ps(_mm_and_si128(_mm_loadu_si128((const __m128i *)p), upper));
}
VLM_INLINE float vf_sum(vf v) {
  const vf pair = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE float vf_lowest(vf v) {
  const vf pair = _mm_min_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_min_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE float vf_highest(vf v) {
  const vf pair = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}
VLM_INLINE void vf_store_u8_n(uint8_t *p, vf v, size_t n) {
  const __m128i wide = _mm_cvtps_epi32(v), words = _mm_packus_epi32(wide, wide);
  const int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  memcpy(p, &four, n);
}
VLM_INLINE void vf_store_u8(uint8_t *p, vf v) { vf_store_u8_n(p, v, VF); }

#endif
