// y[r][n] = residual[r][n] + gamma[n] * activation(y[r][n] + bias[n]) in place
//
//   aliasing   residual may be y
//   exactness  each operation rounded by itself, in this order; the activation as activation.c
#include "scalar.h"

float vlm_finish__scalar(const vlm_epilogue *e, size_t row, size_t n, float sum) {
  if (e->bias) sum = sum + e->bias[n];
  sum = vlm_activate__scalar(e->activation, sum);
  if (e->gamma) sum = sum * e->gamma[n];
  if (e->residual) sum = e->residual[row * e->residual_stride + n] + sum;
  return sum;
}

void vlm_epilogue_f32__scalar(
    size_t rows, size_t outputs, float *y, size_t y_stride, const vlm_epilogue *epilogue) {
  for (size_t r = 0; r < rows; r++)
    for (size_t n = 0; n < outputs; n++)
      y[r * y_stride + n] = vlm_finish__scalar(epilogue, r, n, y[r * y_stride + n]);
}
