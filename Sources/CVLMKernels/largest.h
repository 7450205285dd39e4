// The largest magnitudes of a row of activations, which take_outliers removes. Integer products use
// one scale for a whole row, and a few channels of a language model are a hundred times as large as
// the others: without these channels the codes of the rest are that much finer.
#ifndef VLM_LARGEST_H
#define VLM_LARGEST_H

#include "internal.h"

/// The largest magnitudes so far, in order, of equal ones the earlier first: `count` outliers, and
/// behind them the value that replaces them.
typedef struct vlm_largest {
  size_t count;
  float sizes[VLM_MAX_OUTLIERS + 1];
  size_t places[VLM_MAX_OUTLIERS + 1];
} vlm_largest;

VLM_INLINE vlm_largest vlm_largest_none(size_t count) {
  vlm_largest none = {.count = count, .places = {0}};
  for (int i = 0; i <= VLM_MAX_OUTLIERS; i++) none.sizes[i] = -1;
  return none;
}

/// Considers column k, later than all before. NaN is larger than nothing.
VLM_INLINE void vlm_largest_add(vlm_largest *all, const float *row, size_t k) {
  const float size = fabsf(row[k]);
  size_t i = all->count;
  if (!(size > all->sizes[i])) return;
  for (; i > 0 && size > all->sizes[i - 1]; i--) {
    all->sizes[i] = all->sizes[i - 1];
    all->places[i] = all->places[i - 1];
  }
  all->sizes[i] = size;
  all->places[i] = k;
}

/// Writes the outliers [count] and replaces them in the row.
VLM_INLINE void vlm_largest_take(const vlm_largest *all, float *row, vlm_outlier *outliers) {
  // All but a few values are NaN: the row's result is NaN anyway.
  if (!(all->sizes[all->count] >= 0)) return;
  const float filler = row[all->places[all->count]];
  for (size_t i = 0; i < all->count; i++) {
    const size_t k = all->places[i];
    outliers[i] = (vlm_outlier){(uint32_t)k, row[k]};
    row[k] = filler;
  }
}

#endif
