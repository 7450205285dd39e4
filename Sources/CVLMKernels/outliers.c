// The few largest values of each row of activations, kept apart from its codes. Integer products
// use one scale for a whole row, and a few channels of a language model are a hundred times as
// large as the others: without these channels the codes of the rest are that much finer.
#include "internal.h"

enum { BLOCK = 16, KEPT = VLM_ROW_OUTLIERS + 1 };

void vlm_take_outliers(
    size_t rows, size_t columns, float *x, size_t x_stride, vlm_outlier *outliers) {
  for (size_t r = 0; r < rows; r++) {
    float *row = x + r * x_stride;
    vlm_outlier *out = outliers + r * VLM_ROW_OUTLIERS;
    memset(out, 0, VLM_ROW_OUTLIERS * sizeof *out);
    if (columns < KEPT) continue;
    // Largest magnitudes so far, in order. The last one belongs to the value that replaces the
    // others.
    float sizes[KEPT];
    size_t places[KEPT] = {0};
    for (int i = 0; i < KEPT; i++) sizes[i] = -1;
    for (size_t block = 0; block < columns; block += BLOCK) {
      const size_t end = vlm_min_size(columns, block + BLOCK);
      // Most blocks have nothing large, which one loop without branches finds.
      if (end == block + BLOCK) {
        int larger = 0;
        for (size_t k = block; k < block + BLOCK; k++) larger |= fabsf(row[k]) > sizes[KEPT - 1];
        if (!larger) continue;
      }
      for (size_t k = block; k < end; k++) {
        const float size = fabsf(row[k]);
        if (!(size > sizes[KEPT - 1])) continue;
        int i = KEPT - 1;
        for (; i > 0 && size > sizes[i - 1]; i--) {
          sizes[i] = sizes[i - 1];
          places[i] = places[i - 1];
        }
        sizes[i] = size;
        places[i] = k;
      }
    }
    // All but a few values are NaN: the row's result is NaN anyway.
    if (!(sizes[KEPT - 1] >= 0)) continue;
    const float filler = row[places[KEPT - 1]];
    for (int i = 0; i < VLM_ROW_OUTLIERS; i++) {
      out[i] = (vlm_outlier){(uint32_t)places[i], row[places[i]]};
      row[places[i]] = filler;
    }
  }
}

void vlm_settle_outliers(
    size_t rows, size_t columns, const uint8_t *codes, size_t stride, const vlm_row_quant *quants,
    vlm_outlier *outliers) {
  if (columns < KEPT) return;
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < VLM_ROW_OUTLIERS; i++) {
      vlm_outlier *outlier = outliers + r * VLM_ROW_OUTLIERS + i;
      const float code = codes[r * stride + outlier->column];
      outlier->value -= quants[r].scale * code + quants[r].minimum;
    }
  }
}
