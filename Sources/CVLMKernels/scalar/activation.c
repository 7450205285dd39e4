// y[i] = activation(x[i])      y may be x
//
//   exactness  computed in double and rounded to float once; formulas at vlm_activation
#include "scalar.h"

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }

float vlm_activate__scalar(vlm_activation activation, float x) {
  const double v = x;
  switch (activation) {
  case VLM_ACTIVATION_NONE: return x;
  case VLM_ACTIVATION_GELU: return (float)(v / 2 * (1 + erf(v * 0.70710678118654752)));
  case VLM_ACTIVATION_RELU: return x > 0 ? x : 0;
  case VLM_ACTIVATION_GELU_TANH:
    return (float)(v / 2 * (1 + tanh(0.79788456080286536 * (v + 0.044715 * v * v * v))));
  case VLM_ACTIVATION_QUICK_GELU: return (float)(v * sigmoid(1.702 * v));
  case VLM_ACTIVATION_SILU: return (float)(v * sigmoid(v));
  }
  return x;
}

void vlm_activation_f32__scalar(
    size_t count, vlm_activation activation, const float *x, float *y) {
  for (size_t i = 0; i < count; i++) y[i] = vlm_activate__scalar(activation, x[i]);
}
