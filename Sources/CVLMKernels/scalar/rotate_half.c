// (a, b) = (x[i], x[i + d/2])  becomes  (a c - b s, b c + a s), for i < d/2 of each head
//
//   exactness  each product and sum rounded by itself, on every instruction set
#include "scalar.h"

void vlm_rotate_half_f32__scalar(
    size_t rows, size_t heads, size_t head_dim, float *x, size_t x_stride, const float *cosines,
    const float *sines, size_t stride) {
  const size_t half = head_dim / 2;
  for (size_t r = 0; r < rows; r++) {
    const float *c = cosines + r * stride, *s = sines + r * stride;
    for (size_t h = 0; h < heads; h++) {
      float *head = x + r * x_stride + h * head_dim;
      for (size_t i = 0; i < half; i++) {
        const float a = head[i], b = head[i + half];
        head[i] = a * c[i] - b * s[i];
        head[i + half] = b * c[i] + a * s[i];
      }
    }
  }
}
