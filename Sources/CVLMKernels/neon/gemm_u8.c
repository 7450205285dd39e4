// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      q8 panels, and q4 panels expanded to them
//
//   multiply   Armv8.0 has no dot product. A load that takes every fourth byte turns a row of codes
//              [16 outputs][4 inputs] into 4 registers of 16 outputs; both sides are widened to 16
//              bits and multiplied into int32 sums, one activation against 4 outputs
//   registers  4 rows x 16 outputs: 16 sums; widened codes serve all rows
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
#if defined(__aarch64__)

#include "neon.h"
#include "u8_panels.h"

#include <arm_neon.h>

enum { ROWS = 4 };

// A lane number must be a literal, so a step of one input is a macro over it.
#define ONE_INPUT(w, lane) \
  do { \
    const int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_s8(vget_high_s8(w)); \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) { \
      acc[r][0] = vmlal_laneq_s16(acc[r][0], vget_low_s16(low), u[r], lane); \
      acc[r][1] = vmlal_high_laneq_s16(acc[r][1], low, u[r], lane); \
      acc[r][2] = vmlal_laneq_s16(acc[r][2], vget_low_s16(high), u[r], lane); \
      acc[r][3] = vmlal_high_laneq_s16(acc[r][3], high, u[r], lane); \
    } \
  } while (0)

VLM_INLINE void tile(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail, size_t row,
    const int rows) {
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  int32x4_t acc[ROWS][4];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
      acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = vdupq_n_s32(0);

  for (size_t k = 0; k < vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS; k += 8) {
    int16x8_t u[ROWS];
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
        u[r] = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(x + (size_t)r * g->x_stride + k)));
    const int8x16x4_t first = vld4q_s8(codes + k * 16), second = vld4q_s8(codes + k * 16 + 64);
    ONE_INPUT(first.val[0], 0);
    ONE_INPUT(first.val[1], 1);
    ONE_INPUT(first.val[2], 2);
    ONE_INPUT(first.val[3], 3);
    ONE_INPUT(second.val[0], 4);
    ONE_INPUT(second.val[1], 5);
    ONE_INPUT(second.val[2], 6);
    ONE_INPUT(second.val[3], 7);
  }

  int32_t sums[ROWS * 16];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    for (int q = 0; q < 4; q++) vst1q_s32(sums + r * 16 + q * 4, acc[r][q]);
  }
  vlm_finish_i32__neon(g, row, (size_t)rows, panel, tail, sums, 16);
}

static void all_rows(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail) {
  size_t r = 0;
  for (; r + 4 <= g->rows; r += 4) tile(g, panel, codes, tail, r, 4);
  if (r + 2 <= g->rows) tile(g, panel, codes, tail, r, 2), r += 2;
  if (r < g->rows) tile(g, panel, codes, tail, r, 1);
}

void vlm_gemm_u8_q8__neon(const vlm_gemm *g) { vlm_each_q8_panel__neon(g, all_rows); }
void vlm_gemm_u8_q4__neon(const vlm_gemm *g) { vlm_each_q4_panel__neon(g, all_rows); }

#endif
