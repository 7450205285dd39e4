// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in f16 or bf16 panels
//
//   registers  4 rows x 16 outputs of float sums; weights are widened once for all rows
//   reads      x[r][k] for k < K only
//   exactness  one fused multiply-add an input, in the order of k, whatever the rows beside it:
//              |sum - exact| <= (K + 1) * 2^-24 * sum of |x * W|
#if defined(__aarch64__)

#include "neon.h"

#include <arm_neon.h>

enum { ROWS = 4 };

/// acc += x[r][k] * w of one input for all rows.
VLM_INLINE void one_input(
    const float *x, size_t x_stride, const float32x4_t *w, float32x4_t acc[][4], const int rows) {
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    const float v = x[(size_t)r * x_stride];
    _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++)
        acc[r][q] = vfmaq_n_f32(acc[r][q], w[q], v);
  }
}

VLM_INLINE float32x4_t widen_f16(uint16x4_t bits) {
  return vcvt_f32_f16(vreinterpret_f16_u16(bits));
}

VLM_INLINE void tile(
    const vlm_gemm *g, size_t panel, size_t row, const int rows, const bool bf16) {
  const float *x = (const float *)g->x + row * g->x_stride;
  const uint16_t *values = vlm_half_panel(g, panel);
  float32x4_t acc[ROWS][4], w[4], odd[4];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
      acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = vdupq_n_f32(0);

  if (bf16) {
    for (size_t k = 0; k < g->inputs; k += 2) {
      // A lane holds inputs k and k + 1 of one output; the upper half of a float is a bf16.
      _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) {
        const uint32x4_t pair = vreinterpretq_u32_u16(vld1q_u16(values + k * 16 + q * 8));
        w[q] = vreinterpretq_f32_u32(vshlq_n_u32(pair, 16));
        odd[q] = vreinterpretq_f32_u32(vandq_u32(pair, vdupq_n_u32(0xffff0000)));
      }
      one_input(x + k, g->x_stride, w, acc, rows);
      if (k + 1 < g->inputs) one_input(x + k + 1, g->x_stride, odd, acc, rows);
    }
  } else {
    for (size_t k = 0; k < g->inputs; k++) {
      const uint16x8_t a = vld1q_u16(values + k * 16), b = vld1q_u16(values + k * 16 + 8);
      w[0] = widen_f16(vget_low_u16(a));
      w[1] = widen_f16(vget_high_u16(a));
      w[2] = widen_f16(vget_low_u16(b));
      w[3] = widen_f16(vget_high_u16(b));
      one_input(x + k, g->x_stride, w, acc, rows);
    }
  }

  float sums[ROWS * 16];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    for (int q = 0; q < 4; q++) vst1q_f32(sums + r * 16 + q * 4, acc[r][q]);
  }
  vlm_finish_f32__neon(g, row, (size_t)rows, panel, sums, 16);
}

VLM_INLINE void gemm(const vlm_gemm *g, const bool bf16) {
  for (size_t panel = g->panel_begin; panel < vlm_panel_limit(g); panel++) {
    size_t r = 0;
    for (; r + 4 <= g->rows; r += 4) tile(g, panel, r, 4, bf16);
    if (r + 2 <= g->rows) tile(g, panel, r, 2, bf16), r += 2;
    if (r < g->rows) tile(g, panel, r, 1, bf16);
  }
}

void vlm_gemm_f32_f16__neon(const vlm_gemm *g) { gemm(g, false); }
void vlm_gemm_f32_bf16__neon(const vlm_gemm *g) { gemm(g, true); }

#endif
