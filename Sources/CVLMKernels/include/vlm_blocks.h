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
//   q4    codes   byte  [B*4][16][4]   byte [i][n][j]: low nibble input 8*i + j,
//                                                      high nibble input 8*i + 4 + j
//         groups  { uint8 step[16]; int8 offset[16]; } [B], then zeros to a multiple of 64 bytes
//         scale   f32   [16]           W[n][k] = scale[n] * (step * nibble + offset)
//         sum     i32   [16]           sum over k < K of step * nibble + offset
//                 step * 15 + offset <= 127 and offset >= -127: the bracket is an int8
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

/// Per-output parameters at the end of a q8 or q4 panel.
typedef struct vlm_panel_tail {
  float scale[VLM_PANEL_OUTPUTS];
  int32_t sum[VLM_PANEL_OUTPUTS];
} vlm_panel_tail;
_Static_assert(sizeof(vlm_panel_tail) == 128, "two 64-byte rows");

/// Steps and offsets of one block of 32 inputs in a q4 panel.
typedef struct vlm_q4_group {
  uint8_t step[VLM_PANEL_OUTPUTS];
  int8_t offset[VLM_PANEL_OUTPUTS];
} vlm_q4_group;
_Static_assert(sizeof(vlm_q4_group) == 32, "one 32-byte row");

static inline size_t vlm_block_count(size_t inputs) {
  return (inputs + VLM_BLOCK_INPUTS - 1) / VLM_BLOCK_INPUTS;
}
static inline size_t vlm_panel_count(size_t outputs) {
  return (outputs + VLM_PANEL_OUTPUTS - 1) / VLM_PANEL_OUTPUTS;
}

/// From one row of u8 activations to the next: a whole number of 64-byte tile rows.
static inline size_t vlm_row_code_stride(size_t inputs) { return (inputs + 63) / 64 * 64; }

/// Where the code of an output (0 ..< 16) and an input is.
static inline size_t vlm_q8_code_offset(size_t output, size_t input) {
  return input / 4 * 64 + output * 4 + input % 4;
}
static inline size_t vlm_q8_tail_offset(size_t inputs) { return vlm_block_count(inputs) * 512; }
static inline size_t vlm_q8_panel_bytes(size_t inputs) {
  return vlm_q8_tail_offset(inputs) + sizeof(vlm_panel_tail);
}

/// Where the byte is that has the code of an output (0 ..< 16) and an input, and in which half.
static inline size_t vlm_q4_code_offset(size_t output, size_t input) {
  return input / 8 * 64 + output * 4 + input % 4;
}
static inline bool vlm_q4_code_is_high(size_t input) { return input % 8 >= 4; }
static inline size_t vlm_q4_groups_offset(size_t inputs) { return vlm_block_count(inputs) * 256; }
/// Where the steps and offsets of a block of inputs are, a `vlm_q4_group`.
static inline size_t vlm_q4_group_offset(size_t inputs, size_t block) {
  return vlm_q4_groups_offset(inputs) + block * sizeof(vlm_q4_group);
}
static inline size_t vlm_q4_tail_offset(size_t inputs) {
  size_t groups = vlm_block_count(inputs) * sizeof(vlm_q4_group);
  return vlm_q4_groups_offset(inputs) + (groups + 63) / 64 * 64;
}
static inline size_t vlm_q4_panel_bytes(size_t inputs) {
  return vlm_q4_tail_offset(inputs) + sizeof(vlm_panel_tail);
}

/// f16 and bf16 panels have the same size.
static inline size_t vlm_half_panel_bytes(size_t inputs) { return vlm_block_count(inputs) * 1024; }

#endif
