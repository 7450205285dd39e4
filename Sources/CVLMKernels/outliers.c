// What is left of the outliers of rows once the rows are quantized.
#include "internal.h"

void vlm_settle_outliers(
    size_t rows, size_t columns, size_t per_row, const uint8_t *codes, size_t stride,
    const vlm_row_quant *quants, vlm_outlier *outliers) {
  if (columns <= per_row) return;
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < per_row; i++) {
      vlm_outlier *outlier = outliers + r * per_row + i;
      const float code = codes[r * stride + outlier->column];
      outlier->value -= quants[r].scale * code + quants[r].minimum;
    }
  }
}
