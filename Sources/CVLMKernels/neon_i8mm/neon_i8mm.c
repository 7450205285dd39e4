// Kernels of ARM's int8 matrix multiply: integer products by usmmla, the rest from neon.
//
// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      q8 panels, and q3 to q6 expanded to them
//
//   multiply   usmmla makes 2 rows x 2 outputs over 8 inputs of u8 x s8. Two rows of codes [16][4]
//              zipped by 32 bits are outputs of 8 inputs each; a last single row takes sudot
//   registers  2 pairs of rows x 16 outputs: 16 sums of [2 rows][2 outputs]
//   exactness  bit-exact with scalar/products.inc, but for the activation
#if defined(__aarch64__)

#include "../kernel_list.h"
#include "../targets.h"

#define VLM_CODE_BYTES 16

VLM_TARGET_NEON_I8MM_BEGIN

#include "../lanes/code_pairs.inc"
#include "../neon/u8_panels.inc"

enum { PAIRS = 2 };

/// acc[p][j] += 2 rows x outputs 2 j and 2 j + 1 over 8 inputs, two rows of codes.
VLM_INLINE void eight_inputs(
    const int8_t *codes, const uint8x16_t *u, int32x4_t acc[][8], const int pairs) {
  _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) {
    const int32x4_t first = vreinterpretq_s32_s8(vld1q_s8(codes + q * 16));
    const int32x4_t second = vreinterpretq_s32_s8(vld1q_s8(codes + 64 + q * 16));
    const int8x16_t w0 = vreinterpretq_s8_s32(vzip1q_s32(first, second));
    const int8x16_t w1 = vreinterpretq_s8_s32(vzip2q_s32(first, second));
    _Pragma("clang loop unroll(full)") for (int p = 0; p < pairs; p++) {
      acc[p][2 * q] = vusmmlaq_s32(acc[p][2 * q], u[p], w0);
      acc[p][2 * q + 1] = vusmmlaq_s32(acc[p][2 * q + 1], u[p], w1);
    }
  }
}

VLM_INLINE void tile(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail, size_t row,
    const int pairs) {
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  int32x4_t acc[PAIRS][8];
  _Pragma("clang loop unroll(full)") for (int p = 0; p < pairs; p++) {
    for (int j = 0; j < 8; j++) acc[p][j] = vdupq_n_s32(0);
  }

  for (size_t k = 0; k < vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS; k += 16) {
    uint8x16_t u0[PAIRS], u1[PAIRS]; // inputs k ..< k + 8 and the next 8, of two rows each
    _Pragma("clang loop unroll(full)") for (int p = 0; p < pairs; p++) {
      const uint8_t *at = x + 2 * (size_t)p * g->x_stride + k;
      const uint64x2_t even = vreinterpretq_u64_u8(vld1q_u8(at));
      const uint64x2_t odd = vreinterpretq_u64_u8(vld1q_u8(at + g->x_stride));
      u0[p] = vreinterpretq_u8_u64(vzip1q_u64(even, odd));
      u1[p] = vreinterpretq_u8_u64(vzip2q_u64(even, odd));
    }
    eight_inputs(codes + k * 16, u0, acc, pairs);
    eight_inputs(codes + k * 16 + 128, u1, acc, pairs);
  }

  int32_t sums[PAIRS * 2 * 16];
  _Pragma("clang loop unroll(full)") for (int p = 0; p < pairs; p++) {
    for (int j = 0; j < 8; j++) {
      vst1_s32(sums + 2 * p * 16 + 2 * j, vget_low_s32(acc[p][j]));
      vst1_s32(sums + (2 * p + 1) * 16 + 2 * j, vget_high_s32(acc[p][j]));
    }
  }
  vlm_finish_i32__neon(g, row, 2 * (size_t)pairs, panel, tail, sums, 16);
}

// A lane number must be a literal, so a step of four inputs is a macro over it.
#define FOUR_INPUTS(lane) \
  _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) \
    acc[q] = vsudotq_laneq_s32( \
        acc[q], vld1q_s8(codes + k * 16 + lane * 64 + q * 16), u, lane);

static void one_row(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail, size_t row) {
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  int32x4_t acc[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  for (size_t k = 0; k < vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS; k += 16) {
    const uint8x16_t u = vld1q_u8(x + k);
    FOUR_INPUTS(0)
    FOUR_INPUTS(1)
    FOUR_INPUTS(2)
    FOUR_INPUTS(3)
  }
  int32_t sums[16];
  for (int q = 0; q < 4; q++) vst1q_s32(sums + q * 4, acc[q]);
  vlm_finish_i32__neon(g, row, 1, panel, tail, sums, 16);
}

static void all_rows(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail) {
  size_t r = 0;
  for (; r + 4 <= g->rows; r += 4) tile(g, panel, codes, tail, r, 2);
  if (r + 2 <= g->rows) tile(g, panel, codes, tail, r, 1), r += 2;
  if (r < g->rows) one_row(g, panel, codes, tail, r);
}

void vlm_gemm_u8_q8__neon_i8mm(const vlm_gemm *g) {
  each_q8_panel(g, all_rows);
  vlm_add_own_outliers(g, vlm_add_outliers_q8__neon);
}

VLM_INLINE void qn_gemm(const vlm_gemm *g, const size_t bits) { each_qn_panel(g, bits, all_rows); }
VLM_QN_GEMMS(neon_i8mm, neon)

VLM_TARGET_END

#endif
