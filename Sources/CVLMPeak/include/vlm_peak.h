// The peaks of a machine: loops of multiply-add instructions on registers alone, and a loop of
// loads alone. And a kernel table that counts the time spent in each of its functions.
//
// As in the kernels: no allocation, no threads, no printing. The caller runs a loop on as many
// threads as it wants to measure, at once, and takes the time.
#ifndef VLM_PEAK_H
#define VLM_PEAK_H

#include <stddef.h>
#include <stdint.h>

#include "vlm_kernels.h"

typedef enum vlm_peak_kind {
  VLM_PEAK_INT8 = 0, // products of 8-bit integers, summed in 32 bits
  VLM_PEAK_BF16,     // products of bf16, summed in f32
  VLM_PEAK_F32,
  VLM_PEAK_KIND_COUNT
} vlm_peak_kind;

/// One loop. A product and its addition count as two operations.
typedef struct vlm_peak_loop {
  const char *name; // "vpdpbusd zmm"
  vlm_peak_kind kind;
  /// The lowest set of kernels whose instructions these are.
  vlm_isa isa;
  double operations_per_round;
  void (*run)(size_t rounds);
} vlm_peak_loop;

/// The loops that this machine can run, `*count` of them.
const vlm_peak_loop *vlm_peak_loops(size_t *count);

/// Operations of `a` in the time of one of `b`, measured on this thread in about 1 millisecond.
double vlm_peak_ratio(const vlm_peak_loop *a, const vlm_peak_loop *b);

/// Reads every byte; the result depends on all of them. `bytes` is a multiple of 256.
uint64_t vlm_peak_read(const void *memory, size_t bytes);

typedef enum vlm_counted {
  VLM_COUNTED_GEMM_ACTIVATION = 0, // products whose epilogue has an activation, and that activation
  VLM_COUNTED_GEMM,                // all other products, with bias, layer scale and residual
  VLM_COUNTED_QUANTIZE,
  VLM_COUNTED_DEPTHWISE,
  VLM_COUNTED_LAYER_NORM,          // and RMS norm
  VLM_COUNTED_EPILOGUE,            // after a product of another library
  VLM_COUNTED_OTHER,               // activations, gates, rotation and the functions of GRN
  VLM_COUNTED_ATTENTION,           // and storing keys and values
  VLM_COUNTED_KINDS
} vlm_counted;

/// A table that calls `kernels` and adds up nanoseconds, over all threads. There is one such table;
/// a second call changes what it calls.
const vlm_kernels *vlm_counted_kernels(const vlm_kernels *kernels);
/// Nanoseconds since the last call of this function.
void vlm_counted_take(uint64_t nanoseconds[VLM_COUNTED_KINDS]);

#endif
