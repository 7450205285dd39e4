// sums[c] += sum over r of x[r][c]^2          y[r][c] = x[r][c] * scale[c] + shift[c], y may be x
//
//   exactness  squares: summed in double, rounded to float, then added once
//              scale and shift: two rounded operations, the same bits on every instruction set
#include "scalar.h"

void vlm_sum_squares_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, float *sums) {
  for (size_t c = 0; c < channels; c++) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
      const double value = x[r * x_stride + c];
      sum += value * value;
    }
    sums[c] += (float)sum;
  }
}

void vlm_scale_shift_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *scale,
    const float *shift, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < channels; c++)
      y[r * y_stride + c] = x[r * x_stride + c] * scale[c] + shift[c];
}
