// y[r][n] = sum over k of x[r][k] * w[n][k], added to y where asked
//
//   exactness  the sum is made in double, and rounded once
#include "scalar.h"

void vlm_multiply_f32__scalar(
    size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride, const float *w,
    bool adds, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++)
    for (size_t n = 0; n < outputs; n++) {
      double sum = 0;
      for (size_t k = 0; k < inputs; k++)
        sum += (double)x[r * x_stride + k] * (double)w[n * inputs + k];
      float *to = y + r * y_stride + n;
      *to = adds ? *to + (float)sum : (float)sum;
    }
}
