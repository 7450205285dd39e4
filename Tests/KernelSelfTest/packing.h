// Packed weights that keep the rules of their layouts, for ktest.c.
#ifndef KTEST_PACKING_H
#define KTEST_PACKING_H

#include "schemes.h"

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

/// Stores a code of q3 to q6 where zeros are: bit by bit, by the table of formats/blocks.md.
static void put_code(uint8_t *panel, size_t bits, size_t n, size_t k, unsigned code) {
  // Byte and bit of every bit of the codes that are not in the low bits of a byte of their own.
  static const int q5[3][5][2] = {{{0, 5}, {0, 6}, {0, 7}, {1, 5}, {1, 6}},
                                  {{2, 5}, {2, 6}, {2, 7}, {3, 5}, {3, 6}},
                                  {{4, 5}, {4, 6}, {4, 7}, {1, 7}, {3, 7}}};
  const size_t j = k % 32 / 4;
  uint8_t *block = panel + k / 32 * bits * 64 + n * 4 + k % 4;
  for (size_t i = 0; i < bits; i++) {
    size_t byte, bit;
    if (bits == 4) {
      byte = j / 2, bit = j % 2 * 4 + i;
    } else if (bits == 5) {
      byte = j < 5 ? j : (size_t)q5[j - 5][i][0], bit = j < 5 ? i : (size_t)q5[j - 5][i][1];
    } else {
      // Fields of six bits: three bytes have one each, and of a fourth two bits each.
      const size_t field = bits == 6 ? j : j / 2, in_field = bits == 6 ? i : j % 2 * 3 + i;
      byte = field / 4 * 3 + (field % 4 < 3 ? field % 4 : in_field / 2);
      bit = field % 4 < 3 ? in_field : 6 + in_field % 2;
    }
    block[byte * 64] |= (uint8_t)((code >> i & 1) << bit);
  }
}

static uint8_t *pack_qn(size_t bits, size_t outputs, size_t inputs, fill how) {
  const size_t bytes = vlm_qn_panel_bytes(bits, inputs);
  const int most = (1 << bits) - 1, largest = 254 / most;
  uint8_t *panels = aligned_memory(vlm_panel_count(outputs) * bytes);
  memset(panels, 0, vlm_panel_count(outputs) * bytes);
  for (size_t n = 0; n < outputs; n++) {
    uint8_t *panel = panels + n / 16 * bytes;
    vlm_qn_group *groups = (vlm_qn_group *)(panel + vlm_qn_groups_offset(bits, inputs));
    vlm_panel_tail *tail = (vlm_panel_tail *)(panel + vlm_qn_tail_offset(bits, inputs));
    for (size_t k = 0; k < inputs; k++) {
      vlm_qn_group *group = &groups[k / 32];
      if (k % 32 == 0) {
        const int step = how == FILL_RANDOM ? random_int(0, largest) : largest;
        const int highest = 127 - most * step;
        group->step[n % 16] = (uint8_t)step;
        group->offset[n % 16] = (int8_t)(how == FILL_RANDOM    ? random_int(-127, highest)
                                         : how == FILL_HIGHEST ? highest
                                                               : -127);
      }
      const int code = how == FILL_RANDOM ? random_int(0, most) : how == FILL_HIGHEST ? most : 0;
      put_code(panel, bits, n % 16, k, (unsigned)code);
      tail->sum[n % 16] += group->step[n % 16] * code + group->offset[n % 16];
    }
    tail->scale[n % 16] = 0.01f + 0.01f * random_float();
  }
  return panels;
}

/// Panels of a scheme by the bits of its codes, 8 or 3 to 6.
static uint8_t *pack_u8(size_t bits, size_t outputs, size_t inputs, fill how) {
  return bits == 8 ? pack_q8(outputs, inputs, how) : pack_qn(bits, outputs, inputs, how);
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
