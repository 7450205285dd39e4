// The reference kernels, one op and dtype a file. Plain C: what they compute is what is right.
#ifndef VLM_SCALAR_H
#define VLM_SCALAR_H

#include "../declare.h"

VLM_DECLARE_SET(scalar)

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
