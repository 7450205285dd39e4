// 4 floats of NEON under the names that lanes/*.inc are written in; lanes/README.md.
#ifndef VLM_LANES_NEON_H
#define VLM_LANES_NEON_H

#include "../internal.h"

#include <arm_neon.h>

#define VLM_LANES_NAME(function) function##__neon
// Armv8.0 has all that is used here.
#define VLM_LANES_BEGIN
#define VLM_LANES_END
#define VLM_GELU_PIECES 0 // no lookup of floats in a register
/// Output columns of one pass of the depthwise kernel: 8 sums and 7 weights of 32 registers.
enum { VF = 4, VLM_DEPTHWISE_COLUMNS = 8 };

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
VLM_INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VLM_INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VLM_INLINE vf vf_rint(vf a) { return vrndnq_f32(a); }
VLM_INLINE vf vf_select_gt(vf a, vf b, vf yes, vf no) {
  return vbslq_f32(vcgtq_f32(a, b), yes, no);
}
VLM_INLINE vf vf_exp2_int(vf n) {
  const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
  return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
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
