// One row of a matrix in panels; layouts in vlm_blocks.h. A row is read once per token, each value
// from another cache line: nothing faster is needed.
#include "../halves.h"

static const uint8_t *panel_of(const void *weights, size_t output, size_t bytes) {
  return (const uint8_t *)weights + output / VLM_PANEL_OUTPUTS * bytes;
}

void vlm_panel_row_q8(const void *weights, size_t inputs, size_t output, float *y) {
  const uint8_t *panel = panel_of(weights, output, vlm_q8_panel_bytes(inputs));
  const size_t n = output % VLM_PANEL_OUTPUTS;
  vlm_panel_tail tail;
  memcpy(&tail, panel + vlm_q8_tail_offset(inputs), sizeof tail);
  for (size_t k = 0; k < inputs; k++)
    y[k] = tail.scale[n] * (float)(int8_t)panel[k / 4 * 64 + n * 4 + k % 4];
}

void vlm_panel_row_qn(
    const void *weights, size_t bits, size_t inputs, size_t output, float *y) {
  const uint8_t *panel = panel_of(weights, output, vlm_qn_panel_bytes(bits, inputs));
  const size_t n = output % VLM_PANEL_OUTPUTS;
  vlm_panel_tail tail;
  memcpy(&tail, panel + vlm_qn_tail_offset(bits, inputs), sizeof tail);
  for (size_t k = 0; k < inputs; k++) {
    const uint8_t *group = panel + vlm_qn_group_offset(bits, inputs, k / VLM_BLOCK_INPUTS);
    const int code = (int)vlm_qn_code(panel, bits, n, k);
    y[k] = tail.scale[n] * (float)(group[n] * code + (int8_t)group[VLM_PANEL_OUTPUTS + n]);
  }
}

void vlm_panel_row_f16(const void *weights, size_t inputs, size_t output, float *y) {
  const uint8_t *panel = panel_of(weights, output, vlm_half_panel_bytes(inputs));
  for (size_t k = 0; k < inputs; k++) {
    uint16_t bits;
    memcpy(&bits, panel + (k * 16 + output % VLM_PANEL_OUTPUTS) * 2, 2);
    y[k] = vlm_from_f16(bits);
  }
}

void vlm_panel_row_bf16(const void *weights, size_t inputs, size_t output, float *y) {
  const uint8_t *panel = panel_of(weights, output, vlm_half_panel_bytes(inputs));
  for (size_t k = 0; k < inputs; k++) {
    uint16_t bits;
    memcpy(&bits, panel + ((k / 2 * 16 + output % VLM_PANEL_OUTPUTS) * 2 + k % 2) * 2, 2);
    y[k] = vlm_from_bf16(bits);
  }
}
