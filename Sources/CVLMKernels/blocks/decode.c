// Panels back to rows of f32, straight from formats/blocks.md. Any bytes may come: what a panel
// says is computed, not trusted, and nothing but the panel's own bytes is read.
#include <string.h>

#include "../include/vlm_encode.h"

void vlm_decode_q8(const void *panel, size_t inputs, size_t row_count, float *rows,
                   size_t row_stride) {
  const int8_t *codes = panel;
  vlm_panel_tail tail;
  memcpy(&tail, (const char *)panel + vlm_q8_tail_offset(inputs), sizeof tail);
  for (size_t n = 0; n < row_count; n++)
    for (size_t k = 0; k < inputs; k++)
      rows[n * row_stride + k] = tail.scale[n] * (float)codes[k / 4 * 64 + n * 4 + k % 4];
}

void vlm_decode_qn(const void *panel, size_t bits, size_t inputs, size_t row_count, float *rows,
                   size_t row_stride) {
  vlm_panel_tail tail;
  memcpy(&tail, (const char *)panel + vlm_qn_tail_offset(bits, inputs), sizeof tail);
  for (size_t k = 0; k < inputs; k++) {
    vlm_qn_group group;
    const size_t at = vlm_qn_group_offset(bits, inputs, k / VLM_BLOCK_INPUTS);
    memcpy(&group, (const char *)panel + at, sizeof group);
    for (size_t n = 0; n < row_count; n++) {
      const int code = (int)vlm_qn_code(panel, bits, n, k);
      rows[n * row_stride + k] = tail.scale[n] * (float)(group.step[n] * code + group.offset[n]);
    }
  }
}

void vlm_decode_f16(const void *panel, size_t inputs, size_t row_count, float *rows,
                    size_t row_stride) {
  for (size_t k = 0; k < inputs; k++) {
    uint16_t half[VLM_PANEL_OUTPUTS];
    float values[VLM_PANEL_OUTPUTS];
    memcpy(half, (const char *)panel + k * sizeof half, sizeof half);
    vlm_f32_from_f16(VLM_PANEL_OUTPUTS, half, values);
    for (size_t n = 0; n < row_count; n++) rows[n * row_stride + k] = values[n];
  }
}

void vlm_decode_bf16(const void *panel, size_t inputs, size_t row_count, float *rows,
                     size_t row_stride) {
  for (size_t k = 0; k < inputs; k++)
    for (size_t n = 0; n < row_count; n++) {
      uint16_t half;
      memcpy(&half, (const char *)panel + k / 2 * 64 + n * 4 + k % 2 * 2, sizeof half);
      vlm_f32_from_bf16(1, &half, &rows[n * row_stride + k]);
    }
}
