// The rules B02 to B06 of formats/blocks.md over any bytes. Reads the panel once and nothing else;
// sums are 64-bit, so bytes chosen to overflow them cannot.
#include "../include/vlm_encode.h"
#include "../internal.h"

static const vlm_panel_fault fault_none = {0, 0, 0};

static vlm_panel_fault fault(int rule, size_t output, size_t block) {
  return (vlm_panel_fault){rule, (int)output, (int)block};
}

/// What all panels of codes share: the tail of output n against the sum found.
static vlm_panel_fault check_tail(const vlm_panel_tail *tail, size_t n, size_t row_count,
                                  int64_t sum) {
  const float scale = tail->scale[n];
  if (!(scale >= 0) || !isfinite(scale * 127.0f)) return fault(3, n, 0);
  if (n >= row_count && scale != 0) return fault(3, n, 0);
  return tail->sum[n] == sum ? fault_none : fault(6, n, 0);
}

vlm_panel_fault vlm_check_q8(const void *panel, size_t inputs, size_t row_count) {
  const int8_t *codes = panel;
  vlm_panel_tail tail;
  memcpy(&tail, codes + vlm_q8_tail_offset(inputs), sizeof tail);
  const size_t padded = vlm_block_count(inputs) * VLM_BLOCK_INPUTS;
  for (size_t n = 0; n < VLM_PANEL_OUTPUTS; n++) {
    int64_t sum = 0;
    for (size_t k = 0; k < padded; k++) {
      const int code = codes[k / 4 * 64 + n * 4 + k % 4];
      if (code != 0 && (n >= row_count || k >= inputs)) return fault(2, n, k / VLM_BLOCK_INPUTS);
      if (code == -128) return fault(4, n, k / VLM_BLOCK_INPUTS);
      sum += code;
    }
    const vlm_panel_fault found = check_tail(&tail, n, row_count, sum);
    if (found.rule != 0) return found;
  }
  return fault_none;
}

/// Every value of a file passes here: a loop for each number of bits.
VLM_INLINE vlm_panel_fault check_qn(
    const void *panel, const size_t bits, size_t inputs, size_t row_count) {
  const uint8_t *bytes = panel;
  const size_t blocks = vlm_block_count(inputs);
  const int highest = (1 << bits) - 1;
  vlm_panel_tail tail;
  memcpy(&tail, bytes + vlm_qn_tail_offset(bits, inputs), sizeof tail);
  for (size_t n = 0; n < VLM_PANEL_OUTPUTS; n++) {
    int64_t sum = 0;
    for (size_t block = 0; block < blocks; block++) {
      const uint8_t *group = bytes + vlm_qn_group_offset(bits, inputs, block);
      const int step = group[n], offset = (int8_t)group[VLM_PANEL_OUTPUTS + n];
      if (offset < -127 || highest * step + offset > 127) return fault(5, n, block);
      if (n >= row_count && (step != 0 || offset != 0)) return fault(5, n, block);
      for (size_t k = block * VLM_BLOCK_INPUTS; k < (block + 1) * VLM_BLOCK_INPUTS; k++) {
        const int code = (int)vlm_qn_code(panel, bits, n, k);
        if (code != 0 && (n >= row_count || k >= inputs)) return fault(2, n, block);
        if (n < row_count && k < inputs) sum += step * code + offset;
      }
    }
    const vlm_panel_fault found = check_tail(&tail, n, row_count, sum);
    if (found.rule != 0) return found;
  }
  const size_t end = vlm_qn_group_offset(bits, inputs, blocks);
  for (size_t i = end; i < vlm_qn_tail_offset(bits, inputs); i++)
    if (bytes[i] != 0) return fault(2, 0, blocks);
  return fault_none;
}

vlm_panel_fault vlm_check_qn(const void *panel, size_t bits, size_t inputs, size_t row_count) {
  switch (bits) {
  case 3: return check_qn(panel, 3, inputs, row_count);
  case 4: return check_qn(panel, 4, inputs, row_count);
  case 5: return check_qn(panel, 5, inputs, row_count);
  default: return check_qn(panel, 6, inputs, row_count);
  }
}

vlm_panel_fault vlm_check_half(const void *panel, size_t inputs, size_t row_count, size_t pair) {
  const size_t padded = vlm_block_count(inputs) * VLM_BLOCK_INPUTS;
  for (size_t k = 0; k < padded; k++)
    for (size_t n = k < inputs ? row_count : 0; n < VLM_PANEL_OUTPUTS; n++) {
      uint16_t half;
      const size_t at = k / pair * VLM_PANEL_OUTPUTS * pair + n * pair + k % pair;
      memcpy(&half, (const char *)panel + 2 * at, sizeof half);
      if (half != 0) return fault(2, n, k / VLM_BLOCK_INPUTS);
    }
  return fault_none;
}
