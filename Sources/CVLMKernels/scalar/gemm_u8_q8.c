// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      panels of q8, vlm_blocks.h
//
//   exactness  acc is exact in int32; the float operations have the order written here, each
//              rounded by itself, and every instruction set repeats it: the same bits everywhere
#include "scalar.h"

float vlm_dequantize__scalar(const vlm_panel_tail *tail, size_t n, vlm_row_quant row, int32_t acc) {
  const float codes = row.scale * (float)acc;
  const float minimum = row.minimum * (float)tail->sum[n];
  return tail->scale[n] * (codes + minimum);
}

void vlm_gemm_u8_q8__scalar(const vlm_gemm *g) {
  const uint8_t *x = g->x;
  for (size_t p = g->panel_begin; p < vlm_panel_limit(g); p++) {
    const int8_t *codes = (const int8_t *)vlm_q8_panel(g, p);
    for (size_t r = 0; r < g->rows; r++) {
      for (size_t n = 0; n < vlm_panel_outputs(g, p); n++) {
        int32_t acc = 0;
        for (size_t k = 0; k < g->inputs; k++)
          acc += x[r * g->x_stride + k] * codes[k / 4 * 64 + n * 4 + k % 4];
        const size_t output = p * VLM_PANEL_OUTPUTS + n;
        const float f = vlm_dequantize__scalar(vlm_q8_tail(g, p), n, g->x_quant[r], acc);
        g->y[r * g->y_stride + output] = vlm_finish__scalar(&g->epilogue, r, output, f);
      }
    }
  }
}
