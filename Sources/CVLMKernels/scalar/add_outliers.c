// The reference of lanes/add_outliers.inc, a value at a time.
#include "scalar.h"

static float code_q8(const uint8_t *panel, size_t inputs, size_t k, size_t n) {
  (void)inputs;
  return (float)(int8_t)panel[k / 4 * 64 + n * 4 + k % 4];
}

static float code_q4(const uint8_t *panel, size_t inputs, size_t k, size_t n) {
  const uint8_t *group =
      panel + vlm_q4_groups_offset(inputs) + k / VLM_BLOCK_INPUTS * sizeof(vlm_q4_group);
  const int nibble = panel[k / 8 * 64 + n * 4 + k % 4] >> (k % 8 < 4 ? 0 : 4) & 15;
  return (float)(group[n] * nibble + (int8_t)group[VLM_PANEL_OUTPUTS + n]);
}

static void add_outliers(
    const vlm_gemm *g, const vlm_outlier *outliers, size_t bytes, size_t tail_offset,
    float (*code)(const uint8_t *, size_t, size_t, size_t)) {
  for (size_t p = g->panel_begin; p < vlm_panel_limit(g); p++) {
    const uint8_t *panel = (const uint8_t *)g->weights + p * bytes;
    vlm_panel_tail tail;
    memcpy(&tail, panel + tail_offset, sizeof tail);
    for (size_t r = 0; r < g->rows; r++) {
      for (size_t n = 0; n < vlm_panel_outputs(g, p); n++) {
        float sum = 0;
        for (size_t j = 0; j < VLM_ROW_OUTLIERS; j++) {
          const vlm_outlier outlier = outliers[r * VLM_ROW_OUTLIERS + j];
          sum += outlier.value * code(panel, g->inputs, outlier.column, n);
        }
        g->y[r * g->y_stride + p * VLM_PANEL_OUTPUTS + n] += tail.scale[n] * sum;
      }
    }
  }
}

void vlm_add_outliers_q8__scalar(const vlm_gemm *g, const vlm_outlier *outliers) {
  add_outliers(
      g, outliers, vlm_q8_panel_bytes(g->inputs), vlm_q8_tail_offset(g->inputs), code_q8);
}

void vlm_add_outliers_q4__scalar(const vlm_gemm *g, const vlm_outlier *outliers) {
  add_outliers(
      g, outliers, vlm_q4_panel_bytes(g->inputs), vlm_q4_tail_offset(g->inputs), code_q4);
}
