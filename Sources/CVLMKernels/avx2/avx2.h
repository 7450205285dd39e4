// The kernels of this set, one op and dtype a file; table.c gathers them.
#ifndef VLM_AVX2_H
#define VLM_AVX2_H

#include "../internal.h"

size_t vlm_gemm_scratch_bytes__avx2(size_t inputs);
void vlm_gemm_u8_q8__avx2(const vlm_gemm *);
void vlm_gemm_u8_q4__avx2(const vlm_gemm *);
void vlm_add_outliers_q8__avx2(const vlm_gemm *, const vlm_outlier *outliers);
void vlm_add_outliers_q4__avx2(const vlm_gemm *, const vlm_outlier *outliers);
void vlm_gemm_f32_f16__avx2(const vlm_gemm *);
void vlm_gemm_f32_bf16__avx2(const vlm_gemm *);

/// Write a tile of sums through the epilogue; contract in lanes/epilogue.inc.
void vlm_finish_i32__avx2(
    const vlm_gemm *g, size_t row, size_t rows, size_t panel, const vlm_panel_tail *tail,
    const int32_t *tile, size_t tile_stride);
void vlm_finish_f32__avx2(
    const vlm_gemm *g, size_t row, size_t rows, size_t panel, const float *tile,
    size_t tile_stride);

void vlm_epilogue_f32__avx2(
    size_t rows, size_t outputs, float *y, size_t y_stride, const vlm_epilogue *epilogue);
void vlm_quantize_rows_u8__avx2(
    size_t rows, size_t columns, const float *x, size_t x_stride, uint8_t *q, size_t q_stride,
    vlm_row_quant *quant);
void vlm_layer_norm_f32__avx2(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    const float *bias, float epsilon, float *y, size_t y_stride);
void vlm_depthwise_f32__avx2(const vlm_depthwise *);
void vlm_activation_f32__avx2(size_t count, vlm_activation activation, const float *x, float *y);
void vlm_sum_squares_f32__avx2(
    size_t rows, size_t channels, const float *x, size_t x_stride, float *sums);
void vlm_scale_shift_f32__avx2(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *scale,
    const float *shift, float *y, size_t y_stride);
void vlm_rms_norm_f32__avx2(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    float epsilon, float *y, size_t y_stride);
void vlm_rotate_half_f32__avx2(
    size_t rows, size_t heads, size_t head_dim, float *x, size_t x_stride, const float *cosines,
    const float *sines, size_t stride);
void vlm_gate_f32__avx2(
    size_t rows, size_t columns, vlm_activation activation, const float *gate, size_t gate_stride,
    const float *up, size_t up_stride, float *y, size_t y_stride);
void vlm_store_keys_values__avx2(
    const vlm_kv_head *kv, size_t position, size_t rows, const float *keys, size_t keys_stride,
    const float *values, size_t values_stride);
size_t vlm_attention_scratch_bytes__avx2(size_t head_dim);
void vlm_attention_f32__avx2(const vlm_attention *);

#endif
