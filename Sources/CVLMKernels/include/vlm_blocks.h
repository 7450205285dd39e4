// Panel layouts of quantized and half-precision matrices; formats/blocks.md is normative.
//
// A matrix W [N outputs][K inputs] is cut into P = ceil(N/16) panels of 16 outputs, and K into
// B = ceil(K/32) blocks of 32 inputs. Outputs past N and inputs past K are stored as zeros.
// A panel is stored whole, panels follow one another, and every panel is a multiple of 64 bytes.
//
//   q8    codes   int8  [B*8][16][4]   code of output n, input 4*i + j at [i][n][j]
//         scale   f32   [16]           W[n][k] = scale[n] * code
//         sum     i32   [16]           sum over k of code
//
//   q3, q4, q5 and q6, of b bits a code:
//         codes   byte  [B][b][16][4]  bytes [t][n][i], t < b, of a block have the eight codes of
//                                      output n and inputs 4*j + i, j < 8: vlm_qn_code
//         groups  { uint8 step[16]; int8 offset[16]; } [B], then zeros to a multiple of 64 bytes
//         scale   f32   [16]           W[n][k] = scale[n] * (step * code + offset)
//         sum     i32   [16]           sum over k < K of step * code + offset
//                 step * (2^b - 1) + offset <= 127 and offset >= -127: the bracket is an int8
//
//   bf16  values  bf16  [B*16][16][2]  output n, input 2*i + j at [i][n][j]
//   f16   values  f16   [B*32][16]     output n, input i at [i][n]
//
// A 64-byte row of codes is one AMX B-tile row, one AVX-512 operand, two AVX2 registers or four
// NEON dot-product operands.
#ifndef VLM_BLOCKS_H
#define VLM_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  VLM_PANEL_OUTPUTS = 16,
  VLM_BLOCK_INPUTS = 32,
  /// |sum of u8 * s8| stays below 2^31 up to here: 255 * 127 * 65536 < 2^31.
  VLM_MAX_INPUTS = 65536
};

/// Per-output parameters at the end of a panel of codes: q3 to q8.
typedef struct vlm_panel_tail {
  float scale[VLM_PANEL_OUTPUTS];
  int32_t sum[VLM_PANEL_OUTPUTS];
} vlm_panel_tail;
_Static_assert(sizeof(vlm_panel_tail) == 128, "two 64-byte rows");

/// Steps and offsets of one block of 32 inputs in a panel of q3 to q6.
typedef struct vlm_qn_group {
  uint8_t step[VLM_PANEL_OUTPUTS];
  int8_t offset[VLM_PANEL_OUTPUTS];
} vlm_qn_group;
_Static_assert(sizeof(vlm_qn_group) == 32, "one 32-byte row");

static inline size_t vlm_block_count(size_t inputs) {
  return (inputs + VLM_BLOCK_INPUTS - 1) / VLM_BLOCK_INPUTS;
}
static inline size_t vlm_panel_count(size_t outputs) {
  return (outputs + VLM_PANEL_OUTPUTS - 1) / VLM_PANEL_OUTPUTS;
}

/// From one row of u8 activations to the next: an odd number of 64-byte tile rows, so that the rows
/// of a tile do not compete for the same cache sets.
static inline size_t vlm_row_code_stride(size_t inputs) { return ((inputs + 63) / 64 | 1) * 64; }

/// Where the code of an output (0 ..< 16) and an input is.
static inline size_t vlm_q8_code_offset(size_t output, size_t input) {
  return input / 4 * 64 + output * 4 + input % 4;
}
static inline size_t vlm_q8_tail_offset(size_t inputs) { return vlm_block_count(inputs) * 512; }
static inline size_t vlm_q8_panel_bytes(size_t inputs) {
  return vlm_q8_tail_offset(inputs) + sizeof(vlm_panel_tail);
}

// q3 to q6: `bits` is 3, 4, 5 or 6.

/// Of three bytes that have a code of six bits each, the fourth code: their upper two bits.
#define VLM_UPPER_PAIRS(b0, b1, b2) ((b0) >> 6 | ((b1) >> 4 & 0x0c) | ((b2) >> 2 & 0x30))

/// The code of an output (0 ..< 16) and an input.
static inline unsigned vlm_qn_code(const void *panel, size_t bits, size_t output, size_t input) {
  const uint8_t *b =
      (const uint8_t *)panel + input / VLM_BLOCK_INPUTS * bits * 64 + output * 4 + input % 4;
  const size_t j = input % VLM_BLOCK_INPUTS / 4;
  switch (bits) {
  case 3: // the four codes of q6, each of them two
    return (unsigned)(j < 6 ? b[j / 2 * 64] : VLM_UPPER_PAIRS(b[0], b[64], b[128])) >>
           j % 2 * 3 & 7;
  case 4: return (unsigned)b[j / 2 * 64] >> j % 2 * 4 & 15;
  case 5: // five, and three in the upper three bits of the five
    return j < 5    ? b[j * 64] & 31
           : j == 5 ? b[0] >> 5 | (b[64] >> 2 & 0x18)
           : j == 6 ? b[128] >> 5 | (b[192] >> 2 & 0x18)
                    : b[256] >> 5 | (b[64] >> 4 & 0x08) | (b[192] >> 3 & 0x10);
  default:
    b += j / 4 * 192;
    return j % 4 < 3 ? b[j % 4 * 64] & 63 : VLM_UPPER_PAIRS(b[0], b[64], b[128]);
  }
}
static inline size_t vlm_qn_groups_offset(size_t bits, size_t inputs) {
  return vlm_block_count(inputs) * bits * 64;
}
/// Where the steps and offsets of a block of inputs are, a `vlm_qn_group`.
static inline size_t vlm_qn_group_offset(size_t bits, size_t inputs, size_t block) {
  return vlm_qn_groups_offset(bits, inputs) + block * sizeof(vlm_qn_group);
}
static inline size_t vlm_qn_tail_offset(size_t bits, size_t inputs) {
  size_t groups = vlm_block_count(inputs) * sizeof(vlm_qn_group);
  return vlm_qn_groups_offset(bits, inputs) + (groups + 63) / 64 * 64;
}
static inline size_t vlm_qn_panel_bytes(size_t bits, size_t inputs) {
  return vlm_qn_tail_offset(bits, inputs) + sizeof(vlm_panel_tail);
}

/// f16 and bf16 panels have the same size.
static inline size_t vlm_half_panel_bytes(size_t inputs) { return vlm_block_count(inputs) * 1024; }

#endif
