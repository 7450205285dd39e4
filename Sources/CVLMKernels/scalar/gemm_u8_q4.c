// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//
//   panels     q4, vlm_blocks.h; w8 is an int8 by the contract of the layout. Blocks that break it
//              may leave the range of int32: acc is then what remains modulo 2^32
//   exactness  as gemm_u8_q8.c: the same bits on every instruction set, for blocks that keep it
#include "scalar.h"

void vlm_gemm_u8_q4__scalar(const vlm_gemm *g) {
  const uint8_t *x = g->x;
  for (size_t p = g->panel_begin; p < vlm_panel_limit(g); p++) {
    const uint8_t *codes = vlm_q4_panel(g, p);
    const vlm_q4_group *groups = vlm_q4_groups(g, p);
    for (size_t r = 0; r < g->rows; r++) {
      for (size_t n = 0; n < vlm_panel_outputs(g, p); n++) {
        uint32_t acc = 0;
        for (size_t k = 0; k < g->inputs; k++) {
          const uint8_t byte = codes[k / 8 * 64 + n * 4 + k % 4];
          const int nibble = k % 8 < 4 ? byte & 15 : byte >> 4;
          const vlm_q4_group *group = &groups[k / VLM_BLOCK_INPUTS];
          // One product is below 2^20; only their sum may be too large.
          acc += (uint32_t)(x[r * g->x_stride + k] * (group->step[n] * nibble + group->offset[n]));
        }
        const size_t output = p * VLM_PANEL_OUTPUTS + n;
        const float f = vlm_dequantize__scalar(vlm_q4_tail(g, p), n, g->x_quant[r], (int32_t)acc);
        g->y[r * g->y_stride + output] = vlm_finish__scalar(&g->epilogue, r, output, f);
      }
    }
  }
}
