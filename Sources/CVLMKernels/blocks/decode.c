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

void vlm_decode_q4(const void *panel, size_t inputs, size_t row_count, float *rows,
                   size_t row_stride) {
  const uint8_t *codes = panel;
  vlm_panel_tail tail;
  memcpy(&tail, (const char *)panel + vlm_q4_tail_offset(inputs), sizeof tail);
  for (size_t k = 0; k < inputs; k++) {
    vlm_q4_group group;
    memcpy(&group, codes + vlm_q4_groups_offset(inputs) + k / VLM_BLOCK_INPUTS * sizeof group,
           sizeof group);
    const unsigned shift = k % 8 < 4 ? 0 : 4;
    for (size_t n = 0; n < row_count; n++) {
      const int nibble = codes[k / 8 * 64 + n * 4 + k % 4] >> shift & 15;
      rows[n * row_stride + k] = tail.scale[n] * (float)(group.step[n] * nibble + group.offset[n]);
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
