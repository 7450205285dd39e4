// y = activation(gate) * up      y may be gate or up
//
//   exactness  the activation is rounded once, the product once more
#include "scalar.h"

void vlm_gate_f32__scalar(
    size_t rows, size_t columns, vlm_activation activation, const float *gate, size_t gate_stride,
    const float *up, size_t up_stride, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      y[r * y_stride + c] =
          vlm_activate__scalar(activation, gate[r * gate_stride + c]) * up[r * up_stride + c];
}
