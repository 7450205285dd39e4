// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in f16 or bf16 panels, vlm_blocks.h
//
//   exactness  the sum is made in double and rounded to float once
#include "scalar.h"

typedef struct {
  float (*widen)(uint16_t);
  size_t inputs_together; // neighbouring inputs of one output
} half_layout;

static void gemm(const vlm_gemm *g, half_layout layout) {
  const float *x = g->x;
  const size_t together = layout.inputs_together;
  for (size_t p = g->panel_begin; p < vlm_panel_limit(g); p++) {
    const uint16_t *values = vlm_half_panel(g, p);
    for (size_t r = 0; r < g->rows; r++) {
      for (size_t n = 0; n < vlm_panel_outputs(g, p); n++) {
        double sum = 0;
        for (size_t k = 0; k < g->inputs; k++) {
          const size_t at = (k / together * VLM_PANEL_OUTPUTS + n) * together + k % together;
          sum += (double)x[r * g->x_stride + k] * (double)layout.widen(values[at]);
        }
        const size_t output = p * VLM_PANEL_OUTPUTS + n;
        g->y[r * g->y_stride + output] = vlm_finish__scalar(&g->epilogue, r, output, (float)sum);
      }
    }
  }
}

void vlm_gemm_f32_f16__scalar(const vlm_gemm *g) {
  gemm(g, (half_layout){vlm_from_f16__scalar, 1});
}
void vlm_gemm_f32_bf16__scalar(const vlm_gemm *g) {
  gemm(g, (half_layout){vlm_from_bf16__scalar, 2});
}
