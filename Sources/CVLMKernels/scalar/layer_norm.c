// y[r][c] = (x[r][c] - mean) / sqrt(variance + epsilon) * weight[c] + bias[c]
//
//   aliasing   y may be x
//   exactness  mean and variance in double, each output rounded to float once
//
// simple_norm_f32:  y[r][c] = x[r][c] / sqrt(unbiased variance + epsilon) * weight[c], likewise
#include "scalar.h"

static double mean_of_row(const float *x, size_t channels) {
  double sum = 0;
  for (size_t c = 0; c < channels; c++) sum += x[c];
  return sum / (double)channels;
}

static double squares_of_row(const float *x, size_t channels, double mean) {
  double sum = 0;
  for (size_t c = 0; c < channels; c++) sum += (x[c] - mean) * (x[c] - mean);
  return sum;
}

void vlm_layer_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    const float *bias, float epsilon, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * x_stride;
    float *out = y + r * y_stride;
    const double mean = mean_of_row(in, channels);
    const double variance = squares_of_row(in, channels, mean) / (double)channels;
    const double inverse = 1 / sqrt(variance + (double)epsilon);
    for (size_t c = 0; c < channels; c++) {
      double v = (in[c] - mean) * inverse;
      if (weight) v *= weight[c];
      if (bias) v += bias[c];
      out[c] = (float)v;
    }
  }
}

void vlm_simple_norm_f32__scalar(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    float epsilon, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * x_stride;
    const double squares = squares_of_row(in, channels, mean_of_row(in, channels));
    const double inverse = 1 / sqrt(squares / ((double)channels - 1) + (double)epsilon);
    for (size_t c = 0; c < channels; c++)
      y[r * y_stride + c] = (float)(in[c] * inverse * (weight ? weight[c] : 1));
  }
}
