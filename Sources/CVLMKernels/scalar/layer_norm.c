// y[r][c] = (x[r][c] - mean) / sqrt(variance + epsilon) * weight[c] + bias[c]
//
//   aliasing   y may be x
//   exactness  mean and variance in double, each output rounded to float once
#include "scalar.h"

void vlm_layer_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    const float *bias, float epsilon, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * x_stride;
    float *out = y + r * y_stride;
    double mean = 0, variance = 0;
    for (size_t c = 0; c < channels; c++) mean += in[c];
    mean /= (double)channels;
    for (size_t c = 0; c < channels; c++) variance += (in[c] - mean) * (in[c] - mean);
    variance /= (double)channels;
    const double inverse = 1 / sqrt(variance + (double)epsilon);
    for (size_t c = 0; c < channels; c++) {
      double v = (in[c] - mean) * inverse;
      if (weight) v *= weight[c];
      if (bias) v += bias[c];
      out[c] = (float)v;
    }
  }
}
