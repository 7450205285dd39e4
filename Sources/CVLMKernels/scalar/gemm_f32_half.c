// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in f16 or bf16 panels, vlm_blocks.h
//
//   exactness  the sum is made in double and rounded to float once
#include "scalar.h"

static float from_bf16(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

static float from_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  float value;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = ldexpf((float)fraction, -24);
  } else {
    value = ldexpf((float)(fraction | 1024), exponent - 25);
  }
  return bits & 0x8000 ? -value : value;
}

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

void vlm_gemm_f32_f16__scalar(const vlm_gemm *g) { gemm(g, (half_layout){from_f16, 1}); }
void vlm_gemm_f32_bf16__scalar(const vlm_gemm *g) { gemm(g, (half_layout){from_bf16, 2}); }
