// y[r][c] = x[r][c] / sqrt(mean of x[r]^2 + epsilon) * weight[c]
//
//   aliasing   y may be x
//   exactness  in double, each output rounded to float once
#include "scalar.h"

void vlm_rms_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    float epsilon, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * x_stride;
    double squares = 0;
    for (size_t c = 0; c < channels; c++) squares += (double)in[c] * in[c];
    const double inverse = 1 / sqrt(squares / (double)channels + (double)epsilon);
    for (size_t c = 0; c < channels; c++)
      y[r * y_stride + c] = (float)(in[c] * inverse * (weight ? weight[c] : 1));
  }
}
