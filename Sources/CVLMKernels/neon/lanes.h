// 4 floats of NEON under the names that lanes/*.inc use; lanes/README.md.
#ifndef VLM_LANES_NEON_H
#define VLM_LANES_NEON_H

#define VLM_GELU_PIECES 0 // no lookup of floats in a register
/// Output columns of one pass of the depthwise kernel: 8 sums and 7 weights of 32 registers.
enum { VF = 4, VLM_DEPTHWISE_COLUMNS = 8 };
/// Rows of a tile of attention.inc, and its columns in steps of 16: 24 sums.
enum { VLM_ATTENTION_ROWS = 6, VLM_ATTENTION_PANELS = 1 };
/// Rows and outputs of a tile of multiply.inc: 24 sums, 4 inputs and a weight of 32 registers.
enum { VLM_MULTIPLY_ROWS = 4, VLM_MULTIPLY_OUTPUTS = 6 };

typedef float32x4_t vf;

VLM_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
VLM_INLINE vf vf_load_n(const float *p, size_t n) {
  float lanes[VF] = {0};
  for (size_t i = 0; i < n; i++) lanes[i] = p[i];
  return vld1q_f32(lanes);
}
VLM_INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
VLM_INLINE void vf_store_n(float *p, vf v, size_t n) {
  float lanes[VF];
  vst1q_f32(lanes, v);
  for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}
VLM_INLINE vf vf_load_i32(const int32_t *p) { return vcvtq_f32_s32(vld1q_s32(p)); }
VLM_INLINE vf vf_set1(float f) { return vdupq_n_f32(f); }
VLM_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
VLM_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
VLM_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
VLM_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
VLM_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
VLM_INLINE vf vf_abs(vf a) { return vabsq_f32(a); }
VLM_INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VLM_INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VLM_INLINE vf vf_rint(vf a) { return vrndnq_f32(a); }
VLM_INLINE unsigned vf_at_least(vf a, vf b) {
  const uint32x4_t bits = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vcgeq_f32(a, b), bits));
}
VLM_INLINE vf vf_select_gt(vf a, vf b, vf yes, vf no) {
  return vbslq_f32(vcgtq_f32(a, b), yes, no);
}
VLM_INLINE vf vf_exp2_int(vf n) {
  const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
  return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
}
VLM_INLINE vf vf_scale_exp2(vf v, vf n) {
  return vf_mul(v, vf_exp2_int(vf_max(vf_set1(-126), n)));
}
VLM_INLINE vf vf_load_f16(const uint16_t *p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
VLM_INLINE vf vf_load_i8(const int8_t *p) {
  int8_t bytes[8] = {0};
  memcpy(bytes, p, VF);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(bytes)))));
}
VLM_INLINE void vf_store_f16(uint16_t *p, vf v) {
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
VLM_INLINE void vf_store_i8(int8_t *p, vf v) {
  const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(v));
  int8_t bytes[8];
  vst1_s8(bytes, vqmovn_s16(vcombine_s16(words, words)));
  memcpy(p, bytes, VF);
}
/// bf16 in the upper halves of the lanes, ties to even; the lower halves are undefined.
VLM_INLINE uint32x4_t vf_round_bf16(vf v) {
  const uint32x4_t bits = vreinterpretq_u32_f32(v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  return vbslq_u32(vceqq_f32(v, v), rounded, vdupq_n_u32(0x7fc00000));
}
VLM_INLINE void vf_store_bf16(uint16_t *p, vf v) {
  vst1_u16(p, vshrn_n_u32(vf_round_bf16(v), 16));
}
VLM_INLINE void vf_store_bf16_pairs(uint16_t *p, vf even, vf odd) {
  const uint32x4_t both = vsriq_n_u32(vf_round_bf16(odd), vf_round_bf16(even), 16);
  vst1q_u16(p, vreinterpretq_u16_u32(both));
}
VLM_INLINE vf vf_load_bf16_even(const uint16_t *p) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u16(vld1q_u16(p)), 16));
}
VLM_INLINE vf vf_load_bf16_odd(const uint16_t *p) {
  const uint32x4_t pairs = vreinterpretq_u32_u16(vld1q_u16(p));
  return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}
VLM_INLINE float vf_sum(vf v) { return vaddvq_f32(v); }
VLM_INLINE float vf_lowest(vf v) { return vminvq_f32(v); }
VLM_INLINE float vf_highest(vf v) { return vmaxvq_f32(v); }
VLM_INLINE void vf_store_u8_n(uint8_t *p, vf v, size_t n) {
  const uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(v));
  uint8_t bytes[8];
  vst1_u8(bytes, vqmovn_u16(vcombine_u16(words, words)));
  for (size_t i = 0; i < n; i++) p[i] = bytes[i];
}
VLM_INLINE void vf_store_u8(uint8_t *p, vf v) {
  const uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(v));
  uint8_t bytes[8];
  vst1_u8(bytes, vqmovn_u16(vcombine_u16(words, words)));
  memcpy(p, bytes, VF);
}

#endif
