// Encoders of weight panels (vlm_blocks.h, formats/blocks.md) and half-precision conversions.
//
// Rules that hold for every function here:
//   * no allocation, no threads, no I/O, no environment, no abort;
//   * every byte written is the same on every instruction set: lane-wise IEEE operations only,
//     no fused multiply-add, no reassociation;
//   * values that are not finite are encoded by q3 to q8 as if they were 0, and counted.
#ifndef VLM_ENCODE_H
#define VLM_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "vlm_blocks.h"
#include "vlm_isa.h"

/// Sums over the encoded values w and what a reader will decode for them, v.
/// Values that are not finite, and finite ones that became infinite, are left out of the sums.
typedef struct vlm_encode_stats {
  uint64_t count;             // all values, the two kinds below included
  uint64_t not_finite;        // NaN or infinite in the source
  uint64_t overflowed;        // finite in the source, infinite when decoded
  double sum_squared_error;   // sum (w - v)^2
  double sum_squared_value;   // sum w^2
  double sum_squared_decoded; // sum v^2
  double dot;                 // sum w v
  double max_abs_error;       // max |w - v|
} vlm_encode_stats;

/// Rows to encode: rows[n * row_stride + k], n < row_count <= 16, k < inputs <= VLM_MAX_INPUTS.
typedef struct vlm_encode_panel {
  const float *rows;
  size_t row_count, row_stride, inputs;
  const float *importance; // [inputs] weights of the squared error, q3 to q6, >= 0; NULL: all equal
  /// H = L D Lᵀ, the Hessian of the squared error of the products, for q3 to q8: L [inputs][inputs],
  /// unit upper triangular, of which what lies above the diagonal is read; D [inputs], > 0. Both in
  /// `order`, a permutation of the inputs that keeps those of a block of 32 together. NULL: an
  /// input's error is not made up for by others.
  const float *factor, *pivots;
  const uint32_t *order;
  void *panel;             // the bytes of one panel, every one of which is written
  void *scratch;           // vlm_encode_scratch_bytes(inputs) bytes, 64-byte aligned
} vlm_encode_panel;

/// Encoders of one instruction set; all write the same bytes.
typedef struct vlm_encoder {
  const char *name; // "baseline" (what the compiler assumes: SSE2, NEON), "sse41", "avx2", "avx512"
  void (*q8)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*q3)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*q4)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*q5)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*q6)(const vlm_encode_panel *, vlm_encode_stats *);
  /// q4 from each group's minimum and maximum alone: what the search is compared with.
  void (*q4_min_max)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*f16)(const vlm_encode_panel *, vlm_encode_stats *);
  void (*bf16)(const vlm_encode_panel *, vlm_encode_stats *);
} vlm_encoder;

/// Bytes of scratch that an encoder needs for panels of `inputs` inputs.
size_t vlm_encode_scratch_bytes(size_t inputs);

/// The fastest encoders that use no more than a kernel set's instructions, or NULL when this build
/// or this machine cannot run that set.
const vlm_encoder *vlm_encoder_for(vlm_isa isa);
/// The fastest encoders that this machine can run.
const vlm_encoder *vlm_encoder_best(void);

/// Readers of panels, written to be clear; rows[n * row_stride + k] for n < row_count.
void vlm_decode_q8(const void *panel, size_t inputs, size_t row_count, float *rows,
                   size_t row_stride);
/// `bits` is 3, 4, 5 or 6: q3 to q6.
void vlm_decode_qn(const void *panel, size_t bits, size_t inputs, size_t row_count, float *rows,
                   size_t row_stride);
void vlm_decode_f16(const void *panel, size_t inputs, size_t row_count, float *rows,
                    size_t row_stride);
void vlm_decode_bf16(const void *panel, size_t inputs, size_t row_count, float *rows,
                     size_t row_stride);

/// The first rule of formats/blocks.md that a panel breaks: 2 for B02 up to 6 for B06, 0 for none.
typedef struct vlm_panel_fault {
  int rule, output, block;
} vlm_panel_fault;

vlm_panel_fault vlm_check_q8(const void *panel, size_t inputs, size_t row_count);
/// `bits` is 3, 4, 5 or 6: q3 to q6.
vlm_panel_fault vlm_check_qn(const void *panel, size_t bits, size_t inputs, size_t row_count);
/// `pair` inputs lie side by side: 1 for f16, 2 for bf16.
vlm_panel_fault vlm_check_half(const void *panel, size_t inputs, size_t row_count, size_t pair);

/// Round to nearest, ties to even; NaN stays a quiet NaN with the top bits of its payload.
void vlm_f16_from_f32(size_t count, const float *x, uint16_t *y);
void vlm_bf16_from_f32(size_t count, const float *x, uint16_t *y);
/// `halves` at any alignment.
void vlm_f32_from_f16(size_t count, const void *halves, float *y);
void vlm_f32_from_bf16(size_t count, const void *halves, float *y);

/// Adds values w and decoded values v to the statistics, in order.
void vlm_encode_compare(size_t count, const float *w, const float *v, vlm_encode_stats *stats);

#endif
