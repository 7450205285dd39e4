// Random data, packed weights and counted checks for ktest.c.
#ifndef KTEST_SUPPORT_H
#define KTEST_SUPPORT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vlm_kernels.h"

typedef struct counts {
  long passed, failed;
} counts;

static counts total;

/// Counts a check and prints the first few that fail.
static void check(int ok, const char *isa, const char *what, size_t a, size_t b, size_t c) {
  if (ok) {
    total.passed++;
    return;
  }
  if (total.failed++ < 20) printf("FAILED %s: %s at (%zu, %zu, %zu)\n", isa, what, a, b, c);
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_bits(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static int random_int(int low, int high) {
  return low + (int)(random_bits() % (uint32_t)(high - low + 1));
}

/// Uniform in -1 ..< 1.
static float random_float(void) { return (float)random_bits() / 2147483648.0f - 1; }

/// Memory of exactly this size, so that a sanitizer sees a read past its end; never NULL.
static void *memory(size_t bytes) {
  void *p = malloc(bytes ? bytes : 1);
  if (!p) exit(2);
  return p;
}

static void *aligned_memory(size_t bytes) {
  void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!p) exit(2);
  return p;
}

static float *random_floats(size_t count, float size) {
  float *p = memory(count * sizeof *p);
  for (size_t i = 0; i < count; i++) p[i] = size * random_float();
  return p;
}

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
