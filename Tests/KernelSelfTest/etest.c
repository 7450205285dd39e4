// Gives the encoders and decoders of blocks what a damaged file can hold: blocks and panels of
// any bytes, and weights that are not numbers, in memory of exactly their size. For a sanitizer;
// without one it shows that a panel that is encoded keeps the rules of formats/blocks.md, and that
// every instruction set writes the same bytes.
#include "support.h"
#include "vlm_encode.h"
#include "vlm_gguf.h"

static uint8_t *any_bytes(size_t count) {
  uint8_t *bytes = memory(count);
  for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)random_bits();
  return bytes;
}

static void test_gguf(void) {
  for (uint32_t type = 0; type < 40; type++) {
    const vlm_gguf_size size = vlm_gguf_block_size(type);
    if (!size.elements) continue;
    enum { BLOCKS = 7 };
    for (int turn = 0; turn < 500; turn++) {
      uint8_t *bytes = any_bytes(BLOCKS * size.bytes + 1);
      if (turn == 0) memset(bytes, 0xff, BLOCKS * size.bytes + 1);
      float *values = memory(BLOCKS * size.elements * sizeof *values);
      vlm_gguf_decode(type, BLOCKS, bytes + 1, values);
      free(bytes), free(values);
    }
    check(1, "gguf", "blocks of any bytes", type, 0, 0);
  }
}

/// A panel of any bytes is read and checked, whatever it says.
static void test_panels(size_t inputs) {
  float *rows = memory(16 * inputs * sizeof *rows);
  for (int turn = 0; turn < 200; turn++) {
    const size_t count = (size_t)random_int(1, 16);
    uint8_t *q8 = any_bytes(vlm_q8_panel_bytes(inputs));
    uint8_t *half = any_bytes(vlm_half_panel_bytes(inputs));
    if (turn == 0) memset(q8, 0x80, vlm_q8_panel_bytes(inputs));
    vlm_decode_q8(q8, inputs, count, rows, inputs);
    vlm_decode_f16(half, inputs, count, rows, inputs);
    vlm_decode_bf16(half, inputs, count, rows, inputs);
    vlm_check_q8(q8, inputs, count);
    vlm_check_half(half, inputs, count, 1);
    vlm_check_half(half, inputs, count, 2);
    free(q8), free(half);
    for (size_t bits = 3; bits <= 6; bits++) {
      uint8_t *panel = any_bytes(vlm_qn_panel_bytes(bits, inputs));
      if (turn == 0) memset(panel, 0x7f, vlm_qn_panel_bytes(bits, inputs));
      vlm_decode_qn(panel, bits, inputs, count, rows, inputs);
      vlm_check_qn(panel, bits, inputs, count);
      free(panel);
    }
  }
  check(1, "panels", "of any bytes", inputs, 0, 0);
  free(rows);
}

typedef void (*encode)(const vlm_encode_panel *, vlm_encode_stats *);

enum { ENCODERS = 8 };
/// Bits of the codes of each encoder, 16 of the halves.
static const size_t encoder_bits[ENCODERS] = {8, 3, 4, 4, 5, 6, 16, 16};

static encode encode_of(const vlm_encoder *e, int i) {
  const encode all[ENCODERS] = {e->q8, e->q3, e->q4, e->q4_min_max, e->q5, e->q6, e->f16, e->bf16};
  return all[i];
}

static void test_encoder(const vlm_encoder *e, size_t inputs, size_t count, int turn) {
  static const float strange[] = {INFINITY, -INFINITY, NAN, 3.4e38f, -3.4e38f, 1e-45f, -0.0f, 0};
  float *rows = random_floats(count * inputs, turn % 3 ? 1 : 3e38f);
  for (size_t i = 0; i < count * inputs; i++)
    if (turn && random_bits() % 3 == 0) rows[i] = strange[random_bits() % 8];
  float *importance = random_floats(inputs, 1);
  for (size_t i = 0; i < inputs; i++) importance[i] = fabsf(importance[i]);
  for (int scheme = 0; scheme < ENCODERS; scheme++) {
    const size_t bits = encoder_bits[scheme];
    const size_t bytes = bits == 8    ? vlm_q8_panel_bytes(inputs)
                         : bits == 16 ? vlm_half_panel_bytes(inputs)
                                      : vlm_qn_panel_bytes(bits, inputs);
    uint8_t *panel = memory(bytes), *expected = memory(bytes);
    vlm_encode_stats stats = {0}, expected_stats = {0};
    vlm_encode_panel p = {
        .rows = rows, .row_count = count, .row_stride = inputs, .inputs = inputs,
        .importance = turn % 2 ? importance : NULL, .panel = panel,
        .scratch = aligned_memory(vlm_encode_scratch_bytes(inputs))};
    encode_of(e, scheme)(&p, &stats);
    p.panel = expected;
    encode_of(vlm_encoder_for(VLM_ISA_SCALAR), scheme)(&p, &expected_stats);
    check(memcmp(panel, expected, bytes) == 0, e->name, "same bytes", inputs, count, (size_t)scheme);
    if (bits < 16) {
      const vlm_panel_fault fault = bits == 8 ? vlm_check_q8(panel, inputs, count)
                                              : vlm_check_qn(panel, bits, inputs, count);
      check(fault.rule == 0, e->name, "a sound panel", inputs, count, (size_t)scheme);
    }
    free(panel), free(expected), free(p.scratch);
  }
  free(rows), free(importance);
}

static void test_halves(void) {
  enum { COUNT = 65536 + 7 };
  uint16_t *halves = memory(COUNT * sizeof *halves);
  float *values = memory(COUNT * sizeof *values);
  for (uint32_t i = 0; i < COUNT; i++) halves[i] = (uint16_t)i;
  vlm_f32_from_bf16(COUNT, halves, values);
  vlm_f32_from_f16(COUNT, halves, values);
  vlm_f16_from_f32(COUNT, values, halves);
  int ok = 1;
  // Signalling NaN come back quiet.
  for (uint32_t i = 0; i < 65536; i++) ok &= halves[i] == i || halves[i] == (i | 0x200);
  for (uint32_t i = 0; i < COUNT; i++) {
    const uint32_t bits = random_bits();
    memcpy(&values[i], &bits, sizeof bits);
  }
  vlm_f16_from_f32(COUNT, values, halves);
  vlm_bf16_from_f32(COUNT, values, halves);
  check(ok, "half", "there and back", 0, 0, 0);
  free(halves), free(values);
}

int main(void) {
  static const size_t inputs[] = {1, 31, 32, 33, 100, 1000};
  test_gguf();
  test_halves();
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    test_panels(inputs[i]);
    const vlm_encoder *before = NULL;
    for (int isa = 0; isa <= VLM_ISA_COUNT; isa++) {
      const vlm_encoder *e = isa < VLM_ISA_COUNT ? vlm_encoder_for((vlm_isa)isa) : vlm_encoder_best();
      if (!e || e == before) continue; // kernel sets that share one
      before = e;
      for (int turn = 0; turn < 8; turn++)
        for (size_t count = 1; count < 17; count += 5) test_encoder(e, inputs[i], count, turn);
    }
  }
  printf("%ld passed, %ld failed\n", total.passed, total.failed);
  return total.failed != 0;
}
