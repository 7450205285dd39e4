// Multiply-add loops of arm64: 16 independent sums of 128 bits.
#if defined(__aarch64__)

#include "loops.h"

#include <arm_neon.h>

enum { SUMS = 16 };

// The empty assembly makes each sum an unknown value in a register: nothing is folded or dropped.
#define LOOP(type, zero, lanes, one, step)                                                         \
  {                                                                                                \
    type sum[SUMS];                                                                                \
    lanes a = one, b = one;                                                                        \
    for (int i = 0; i < SUMS; i++) sum[i] = zero;                                                  \
    __asm__ volatile("" : "+w"(a), "+w"(b));                                                       \
    for (size_t round = 0; round < rounds; round++) {                                              \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < SUMS; i++) {                          \
        sum[i] = step;                                                                             \
        __asm__ volatile("" : "+w"(sum[i]));                                                       \
      }                                                                                            \
    }                                                                                              \
  }

static void f32_neon(size_t rounds) {
  LOOP(float32x4_t, vdupq_n_f32(0), float32x4_t, vdupq_n_f32(1), vfmaq_f32(sum[i], a, b))
}

static void int8_neon(size_t rounds) {
  LOOP(int32x4_t, vdupq_n_s32(0), int16x8_t, vdupq_n_s16(1),
       vmlal_s16(sum[i], vget_low_s16(a), vget_low_s16(b)))
}

__attribute__((target("dotprod"))) static void int8_dotprod(size_t rounds) {
  LOOP(int32x4_t, vdupq_n_s32(0), int8x16_t, vdupq_n_s8(1), vdotq_s32(sum[i], a, b))
}

__attribute__((target("i8mm"))) static void int8_i8mm(size_t rounds) {
  LOOP(int32x4_t, vdupq_n_s32(0), int8x16_t, vdupq_n_s8(1),
       vusmmlaq_s32(sum[i], vreinterpretq_u8_s8(a), b))
}

size_t vlm_machine_peak_loops(vlm_peak_loop *loops) {
  size_t count = 0;
#define ADD(text, what, set, operations, function) \
  loops[count++] = (vlm_peak_loop){text, what, set, operations, function}
  ADD("smlal", VLM_PEAK_INT8, VLM_ISA_NEON, SUMS * 4 * 2.0, int8_neon);
  ADD("fmla", VLM_PEAK_F32, VLM_ISA_NEON, SUMS * 4 * 2.0, f32_neon);
  if (vlm_kernels_for(VLM_ISA_NEON_DOTPROD))
    ADD("sdot", VLM_PEAK_INT8, VLM_ISA_NEON_DOTPROD, SUMS * 16 * 2.0, int8_dotprod);
  if (vlm_kernels_for(VLM_ISA_NEON_I8MM))
    ADD("usmmla", VLM_PEAK_INT8, VLM_ISA_NEON_I8MM, SUMS * 32 * 2.0, int8_i8mm);
#undef ADD
  return count;
}

#endif
