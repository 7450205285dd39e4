// The reference kernels, one op and dtype a file. Plain C: what they compute is what is right.
#ifndef VLM_SCALAR_H
#define VLM_SCALAR_H

#include "../internal.h"

size_t vlm_gemm_scratch_bytes__scalar(size_t inputs);
void vlm_gemm_u8_q8__scalar(const vlm_gemm *);
void vlm_gemm_u8_q4__scalar(const vlm_gemm *);
void vlm_add_outliers_q8__scalar(const vlm_gemm *, const vlm_outlier *outliers);
void vlm_add_outliers_q4__scalar(const vlm_gemm *, const vlm_outlier *outliers);
void vlm_gemm_f32_f16__scalar(const vlm_gemm *);
void vlm_gemm_f32_bf16__scalar(const vlm_gemm *);
void vlm_epilogue_f32__scalar(
    size_t rows, size_t outputs, float *y, size_t y_stride, const vlm_epilogue *epilogue);
void vlm_quantize_rows_u8__scalar(
    size_t rows, size_t columns, const float *x, size_t x_stride, uint8_t *q, size_t q_stride,
    vlm_row_quant *quant);
void vlm_layer_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    const float *bias, float epsilon, float *y, size_t y_stride);
void vlm_depthwise_f32__scalar(const vlm_depthwise *);
void vlm_activation_f32__scalar(
    size_t count, vlm_activation activation, const float *x, float *y);
void vlm_sum_squares_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, float *sums);
void vlm_scale_shift_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *scale,
    const float *shift, float *y, size_t y_stride);
void vlm_rms_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    float epsilon, float *y, size_t y_stride);
void vlm_rotate_half_f32__scalar(
    size_t rows, size_t heads, size_t head_dim, float *x, size_t x_stride, const float *cosines,
    const float *sines, size_t stride);
void vlm_gate_f32__scalar(
    size_t rows, size_t columns, vlm_activation activation, const float *gate, size_t gate_stride,
    const float *up, size_t up_stride, float *y, size_t y_stride);
void vlm_store_keys_values__scalar(
    const vlm_kv_head *kv, size_t position, size_t rows, const float *keys, size_t keys_stride,
    const float *values, size_t values_stride);
size_t vlm_attention_scratch_bytes__scalar(size_t head_dim);
void vlm_attention_f32__scalar(const vlm_attention *);

/// activation(x), computed in double and rounded once.
float vlm_activate__scalar(vlm_activation activation, float x);
/// y[row][n] = epilogue(sum) for one element.
float vlm_finish__scalar(const vlm_epilogue *epilogue, size_t row, size_t n, float sum);
/// The real value of a row's integer dot product with output n of a panel.
float vlm_dequantize__scalar(const vlm_panel_tail *tail, size_t n, vlm_row_quant row, int32_t acc);
/// The value of an f16 or bf16, exactly; and the f16 nearest to a value, ties to even.
float vlm_from_f16__scalar(uint16_t bits);
float vlm_from_bf16__scalar(uint16_t bits);
uint16_t vlm_to_f16__scalar(float value);

#endif
