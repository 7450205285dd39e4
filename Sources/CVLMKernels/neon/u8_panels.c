// codes[k / 4][n][k % 4] = step * nibble + offset: a q4 panel in the order of a q8 panel.
//
//   padding    inputs past K become 0, not the block's offset: the dot-product tier takes 128 from
//              every activation, the padded zeros too, and puts back 128 * sum, which ends at K
//   scratch    1 panel of int8
#if defined(__aarch64__)

#include "u8_panels.h"
#include "neon.h"

#include <arm_neon.h>

size_t vlm_gemm_scratch_bytes__neon(size_t inputs) { return vlm_q8_tail_offset(inputs); }

/// 16 bytes of 4 outputs x 4 inputs: bytes 4 q ... 4 q + 3 of `outputs`, each four times.
static inline uint8x16_t spread(uint8x16_t outputs, size_t q) {
  static const uint8_t first[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
  return vqtbl1q_u8(outputs, vaddq_u8(vld1q_u8(first), vdupq_n_u8((uint8_t)(4 * q))));
}

static void expand(const vlm_gemm *g, size_t panel, int8_t *codes) {
  const uint8_t *packed = vlm_q4_panel(g, panel);
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  const size_t blocks = vlm_block_count(g->inputs);
  for (size_t b = 0; b < blocks; b++) {
    const uint8x16_t steps = vld1q_u8(groups[b].step);
    const uint8x16_t offsets = vreinterpretq_u8_s8(vld1q_s8(groups[b].offset));
    for (size_t q = 0; q < 4; q++) { // outputs 4 q ..< 4 q + 4
      const uint8x16_t step = spread(steps, q), offset = spread(offsets, q);
      for (size_t i = 0; i < 4; i++) {
        const uint8x16_t bytes = vld1q_u8(packed + b * 256 + i * 64 + q * 16);
        const uint8x16_t low = vandq_u8(bytes, vdupq_n_u8(15)), high = vshrq_n_u8(bytes, 4);
        uint8_t *to = (uint8_t *)codes + b * 512 + i * 128 + q * 16;
        vst1q_u8(to, vmlaq_u8(offset, low, step));
        vst1q_u8(to + 64, vmlaq_u8(offset, high, step));
      }
    }
  }
  for (size_t k = g->inputs; k < blocks * VLM_BLOCK_INPUTS; k++)
    for (size_t n = 0; n < VLM_PANEL_OUTPUTS; n++) codes[k / 4 * 64 + n * 4 + k % 4] = 0;
}

void vlm_each_q8_panel__neon(const vlm_gemm *g, vlm_u8_panel f) {
  for (size_t panel = g->panel_begin; panel < vlm_panel_limit(g); panel++)
    f(g, panel, (const int8_t *)vlm_q8_panel(g, panel), vlm_q8_tail(g, panel));
}

void vlm_each_q4_panel__neon(const vlm_gemm *g, vlm_u8_panel f) {
  for (size_t panel = g->panel_begin; panel < vlm_panel_limit(g); panel++) {
    expand(g, panel, g->scratch);
    f(g, panel, g->scratch, vlm_q4_tail(g, panel));
  }
}

#endif
