// Packed weights that keep the rules of their layouts, for ktest.c.
#ifndef KTEST_PACKING_H
#define KTEST_PACKING_H

#include "support.h"

/// What fills the codes: random, or the largest products that the layout allows.
typedef enum fill { FILL_RANDOM, FILL_HIGHEST, FILL_LOWEST } fill;

static uint8_t *pack_q8(size_t outputs, size_t inputs, fill how) {
  const size_t bytes = vlm_q8_panel_bytes(inputs);
  uint8_t *panels = aligned_memory(vlm_panel_count(outputs) * bytes);
  memset(panels, 0, vlm_panel_count(outputs) * bytes);
  for (size_t n = 0; n < outputs; n++) {
    uint8_t *panel = panels + n / 16 * bytes;
    vlm_panel_tail *tail = (vlm_panel_tail *)(panel + vlm_q8_tail_offset(inputs));
    for (size_t k = 0; k < inputs; k++) {
      const int code = how == FILL_HIGHEST  ? 127
                       : how == FILL_LOWEST ? -127
                                            : random_int(-127, 127);
      panel[k / 4 * 64 + n % 16 * 4 + k % 4] = (uint8_t)code;
      tail->sum[n % 16] += code;
    }
    tail->scale[n % 16] = 0.01f + 0.01f * random_float();
  }
  return panels;
}

static uint8_t *pack_q4(size_t outputs, size_t inputs, fill how) {
  const size_t bytes = vlm_q4_panel_bytes(inputs);
  uint8_t *panels = aligned_memory(vlm_panel_count(outputs) * bytes);
  memset(panels, 0, vlm_panel_count(outputs) * bytes);
  for (size_t n = 0; n < outputs; n++) {
    uint8_t *panel = panels + n / 16 * bytes;
    vlm_q4_group *groups = (vlm_q4_group *)(panel + vlm_q4_groups_offset(inputs));
    vlm_panel_tail *tail = (vlm_panel_tail *)(panel + vlm_q4_tail_offset(inputs));
    for (size_t k = 0; k < inputs; k++) {
      vlm_q4_group *group = &groups[k / 32];
      if (k % 32 == 0) {
        const int step = how == FILL_RANDOM ? random_int(0, 16) : 16;
        group->step[n % 16] = (uint8_t)step;
        group->offset[n % 16] = (int8_t)(how == FILL_RANDOM    ? random_int(-127, 127 - 15 * step)
                                         : how == FILL_HIGHEST ? 127 - 15 * step
                                                               : -127);
      }
      const int nibble = how == FILL_RANDOM ? random_int(0, 15) : how == FILL_HIGHEST ? 15 : 0;
      panel[k / 8 * 64 + n % 16 * 4 + k % 4] |= (uint8_t)(k % 8 < 4 ? nibble : nibble << 4);
      tail->sum[n % 16] += group->step[n % 16] * nibble + group->offset[n % 16];
    }
    tail->scale[n % 16] = 0.01f + 0.01f * random_float();
  }
  return panels;
}

/// bf16 or f16 panels; `absolute` clears the signs of an earlier packing.
static uint16_t *pack_half(size_t outputs, size_t inputs, int bf16) {
  const size_t values = vlm_half_panel_bytes(inputs) / 2;
  uint16_t *panels = aligned_memory(vlm_panel_count(outputs) * values * 2);
  memset(panels, 0, vlm_panel_count(outputs) * values * 2);
  for (size_t n = 0; n < outputs; n++) {
    for (size_t k = 0; k < inputs; k++) {
      const unsigned sign = random_bits() & 0x8000;
      const unsigned fraction = random_bits() & (bf16 ? 127 : 1023);
      // Exponents of 2^-8 ... 1; for f16 a denormal now and then.
      const unsigned small = !bf16 && random_int(0, 9) == 0;
      const unsigned exponent = small ? 0 : (unsigned)random_int(bf16 ? 119 : 7, bf16 ? 127 : 15);
      const size_t at = bf16 ? k / 2 * 32 + n % 16 * 2 + k % 2 : k * 16 + n % 16;
      panels[n / 16 * values + at] = (uint16_t)(sign | exponent << (bf16 ? 7 : 10) | fraction);
    }
  }
  return panels;
}

#endif
