// Kernels of Armv8.2's dot product: integer products by sdot, the rest from neon.
//
// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      q8 panels, and q3 to q6 expanded to them
//
//   multiply   sdot is s8 x s8: it gets u - 128, which is u with its top bit flipped, and
//              128 * sum over k of code[n][k] is added back. Codes past K are 0, so that sum is
//              the one in the panel's tail
//   registers  4 rows x 16 outputs: 16 sums, 4 activations, 4 rows of codes
//   exactness  bit-exact with scalar/products.inc, but for the activation
#if defined(__aarch64__)

#include "../kernel_list.h"
#include "../targets.h"

#define VLM_CODE_BYTES 16

VLM_TARGET_NEON_DOTPROD_BEGIN

#include "../lanes/code_pairs.inc"
#include "../neon/u8_panels.inc"

enum { ROWS = 4 };

// A lane number must be a literal, so a step of four inputs is a macro over it.
#define FOUR_INPUTS(lane) \
  _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) { \
    const int8x16_t w = vld1q_s8(codes + k * 16 + lane * 64 + q * 16); \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) \
        acc[r][q] = vdotq_laneq_s32(acc[r][q], w, u[r], lane); \
  }

VLM_INLINE void tile(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail, size_t row,
    const int rows) {
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  int32x4_t acc[ROWS][4];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    // The sums start with the correction.
    for (int q = 0; q < 4; q++) acc[r][q] = vshlq_n_s32(vld1q_s32(tail->sum + q * 4), 7);
  }

  for (size_t k = 0; k < vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS; k += 16) {
    int8x16_t u[ROWS];
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
        u[r] = vreinterpretq_s8_u8(
            veorq_u8(vld1q_u8(x + (size_t)r * g->x_stride + k), vdupq_n_u8(0x80)));
    FOUR_INPUTS(0)
    FOUR_INPUTS(1)
    FOUR_INPUTS(2)
    FOUR_INPUTS(3)
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

void vlm_gemm_u8_q8__neon_dotprod(const vlm_gemm *g) {
  each_q8_panel(g, all_rows);
  vlm_add_own_outliers(g, vlm_add_outliers_q8__neon);
}

VLM_INLINE void qn_gemm(const vlm_gemm *g, const size_t bits) { each_qn_panel(g, bits, all_rows); }
VLM_QN_GEMMS(neon_dotprod, neon)

VLM_TARGET_END

#endif
