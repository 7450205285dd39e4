// u[r][k] = clamp(rint((x[r][k] - minimum[r]) * (255 / (maximum[r] - minimum[r]))), 0, 255)
//
//   output     q [rows][q_stride], zeros from columns up to q_stride; quant [rows]
//   exactness  these float operations, each rounded by itself, on every instruction set: the same
//              bits everywhere for rows without infinities and NaN; with them u is unspecified
//   special    vlm_row_range_of says what constant, tiny and infinite ranges become
#include "scalar.h"

void vlm_quantize_rows_u8__scalar(
    size_t rows, size_t columns, const float *x, size_t x_stride, uint8_t *q, size_t q_stride,
    vlm_row_quant *quant) {
  for (size_t r = 0; r < rows; r++) {
    const float *row = x + r * x_stride;
    uint8_t *codes = q + r * q_stride;
    float minimum = columns ? row[0] : 0, maximum = minimum;
    for (size_t k = 1; k < columns; k++) {
      if (row[k] < minimum) minimum = row[k];
      if (row[k] > maximum) maximum = row[k];
    }
    const vlm_row_range range = vlm_row_range_of(minimum, maximum);
    for (size_t k = 0; k < columns; k++) {
      float u = nearbyintf((row[k] - range.quant.minimum) * range.inverse);
      u = u > 0 ? u : 0; // NaN becomes 0
      codes[k] = (uint8_t)(u < 255 ? u : 255);
    }
    if (q_stride > columns) memset(codes + columns, 0, q_stride - columns);
    quant[r] = range.quant;
  }
}
