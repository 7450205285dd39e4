// y[h][w][c] = bias[c] + sum over i, j of x[h + (i - k/2) d][w + (j - k/2) d][c] * weights[i][j][c]
//
//   borders    inputs outside the picture count as zero
//   exactness  the sum is made in double and rounded to float once
#include "scalar.h"

void vlm_depthwise_f32__scalar(const vlm_depthwise *d) {
  const ptrdiff_t reach = (ptrdiff_t)(d->kernel / 2 * d->dilation);
  const ptrdiff_t height = (ptrdiff_t)d->height, width = (ptrdiff_t)d->width;
  float *out = d->y;
  for (ptrdiff_t h = (ptrdiff_t)d->row_begin; h < (ptrdiff_t)d->row_end; h++) {
    for (ptrdiff_t w = 0; w < width; w++) {
      for (size_t c = 0; c < d->channels; c++) {
        double sum = d->bias ? d->bias[c] : 0;
        for (size_t i = 0; i < d->kernel; i++) {
          const ptrdiff_t row = h + (ptrdiff_t)(i * d->dilation) - reach;
          if (row < 0 || row >= height) continue;
          for (size_t j = 0; j < d->kernel; j++) {
            const ptrdiff_t column = w + (ptrdiff_t)(j * d->dilation) - reach;
            if (column < 0 || column >= width) continue;
            const float x = d->x[(size_t)(row * width + column) * d->channels + c];
            sum += (double)x * (double)d->weights[(i * d->kernel + j) * d->channels + c];
          }
        }
        *out++ = (float)sum;
      }
    }
  }
}
