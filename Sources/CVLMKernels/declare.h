// The functions of one set of kernels, declared with the types that `vlm_kernels` gives them: what a
// function does and takes stands there, once.
#ifndef VLM_DECLARE_H
#define VLM_DECLARE_H

#include "internal.h"

#define VLM_DECLARE(name, set) __typeof__(*((vlm_kernels *)0)->name) vlm_##name##__##set;

/// A whole set.
#define VLM_DECLARE_SET(set)                 \
  VLM_DECLARE(gemm_scratch_bytes, set)       \
  VLM_DECLARE(gemm_u8_q8, set)               \
  VLM_DECLARE(gemm_u8_q4, set)               \
  VLM_DECLARE(add_outliers_q8, set)          \
  VLM_DECLARE(add_outliers_q4, set)          \
  VLM_DECLARE(gemm_f32_f16, set)             \
  VLM_DECLARE(gemm_f32_bf16, set)            \
  VLM_DECLARE(multiply_f32, set)             \
  VLM_DECLARE(epilogue_f32, set)             \
  VLM_DECLARE(quantize_rows_u8, set)         \
  VLM_DECLARE(layer_norm_f32, set)           \
  VLM_DECLARE(depthwise_f32, set)            \
  VLM_DECLARE(activation_f32, set)           \
  VLM_DECLARE(sum_squares_f32, set)          \
  VLM_DECLARE(scale_shift_f32, set)          \
  VLM_DECLARE(rms_norm_f32, set)             \
  VLM_DECLARE(simple_norm_f32, set)          \
  VLM_DECLARE(rotate_half_f32, set)          \
  VLM_DECLARE(gate_f32, set)                 \
  VLM_DECLARE(store_keys_values, set)        \
  VLM_DECLARE(attention_scratch_bytes, set)  \
  VLM_DECLARE(attention_f32, set)

/// Of a set with vectors, what writes a tile of sums through the epilogue; lanes/epilogue.inc.
#define VLM_DECLARE_FINISH(set)                                                              \
  void vlm_finish_i32__##set(                                                                \
      const vlm_gemm *g, size_t row, size_t rows, size_t panel, const vlm_panel_tail *tail,  \
      const int32_t *tile, size_t tile_stride);                                              \
  void vlm_finish_f32__##set(                                                                \
      const vlm_gemm *g, size_t row, size_t rows, size_t panel, const float *tile,           \
      size_t tile_stride);

#endif
