// What the kernels share: addresses in panels, prefetching, and the few formulas that must give the
// same bits on every instruction set. Not part of the public surface.
#ifndef VLM_INTERNAL_H
#define VLM_INTERNAL_H

#include <math.h>
#include <string.h>

#include "include/vlm_kernels.h"

// A product and a sum are rounded separately unless the source writes fma.
#pragma STDC FP_CONTRACT OFF

#define VLM_INLINE static inline __attribute__((always_inline))
/// A function that is never inlined, so that its registers are its own.
#define VLM_ALONE static __attribute__((noinline))

VLM_INLINE size_t vlm_min_size(size_t a, size_t b) { return a < b ? a : b; }

/// Outputs of a panel that exist: 16, or fewer in the last one.
VLM_INLINE size_t vlm_panel_outputs(const vlm_gemm *g, size_t panel) {
  return vlm_min_size(VLM_PANEL_OUTPUTS, g->outputs - panel * VLM_PANEL_OUTPUTS);
}

typedef void (*vlm_add_outliers)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);

/// The end of a product that has not added its outliers on the way.
VLM_INLINE void vlm_add_own_outliers(const vlm_gemm *g, vlm_add_outliers add) {
  if (g->outliers) add(g, g->outliers_per_row, g->outliers);
}

/// The end of the panels to compute: a range past the matrix is cut at its end.
VLM_INLINE size_t vlm_panel_limit(const vlm_gemm *g) {
  return vlm_min_size(g->panel_end, vlm_panel_count(g->outputs));
}

VLM_INLINE const uint8_t *vlm_q8_panel(const vlm_gemm *g, size_t panel) {
  return (const uint8_t *)g->weights + panel * vlm_q8_panel_bytes(g->inputs);
}
/// A panel of q3 to q6.
VLM_INLINE const uint8_t *vlm_qn_panel(const vlm_gemm *g, size_t bits, size_t panel) {
  return (const uint8_t *)g->weights + panel * vlm_qn_panel_bytes(bits, g->inputs);
}
VLM_INLINE const uint16_t *vlm_half_panel(const vlm_gemm *g, size_t panel) {
  return (const uint16_t *)g->weights + panel * (vlm_half_panel_bytes(g->inputs) / 2);
}
VLM_INLINE const vlm_panel_tail *vlm_q8_tail(const vlm_gemm *g, size_t panel) {
  return (const vlm_panel_tail *)(vlm_q8_panel(g, panel) + vlm_q8_tail_offset(g->inputs));
}
VLM_INLINE const vlm_panel_tail *vlm_qn_tail(const vlm_gemm *g, size_t bits, size_t panel) {
  const uint8_t *at = vlm_qn_panel(g, bits, panel) + vlm_qn_tail_offset(bits, g->inputs);
  return (const vlm_panel_tail *)at;
}
VLM_INLINE const vlm_qn_group *vlm_qn_groups(const vlm_gemm *g, size_t bits, size_t panel) {
  const uint8_t *at = vlm_qn_panel(g, bits, panel) + vlm_qn_groups_offset(bits, g->inputs);
  return (const vlm_qn_group *)at;
}

/// Prefetches the lines that the sums of a tile will be written to and added to, so that they
/// arrive while the sums are made. `rows` and `panels` should be constants.
VLM_INLINE void vlm_prefetch_outputs(
    const vlm_gemm *g, size_t row, int rows, size_t panel, int panels) {
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < panels; j++)
      __builtin_prefetch(
          g->y + (row + (size_t)r) * g->y_stride + (panel + (size_t)j) * VLM_PANEL_OUTPUTS, 1);
  const vlm_epilogue *e = &g->epilogue;
  if (!e->residual) return;
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < panels; j++)
      __builtin_prefetch(
          e->residual + (row + (size_t)r) * e->residual_stride +
          (panel + (size_t)j) * VLM_PANEL_OUTPUTS);
}

/// How many bytes before their use the weights of few rows are prefetched, also past a panel's end.
enum { VLM_PREFETCH_BYTES = 4096 };

/// Prefetches what few rows need into the second cache: the first one has too few lines on their way
/// from memory at a time, and the second is near enough for cores that compute out of order.
VLM_INLINE void vlm_prefetch_far(const void *at) {
#if defined __x86_64__
  __builtin_prefetch(at, 0, 2);
#else
  __builtin_prefetch(at);
#endif
}

/// For few rows, which read a matrix of q3 to q6 once: prefetches the codes VLM_PREFETCH_BYTES
/// after those of block b, in the next panel where this one ends, and the next panel's group b. The
/// processor's own prefetching follows the codes, but not over the groups and into the next panel.
VLM_INLINE void vlm_prefetch_qn(
    const vlm_gemm *g, size_t bits, const uint8_t *panel, size_t block) {
  const size_t codes = vlm_qn_groups_offset(bits, g->inputs);
  const size_t bytes = vlm_qn_panel_bytes(bits, g->inputs);
  const size_t at = block * bits * 64 + VLM_PREFETCH_BYTES;
  const uint8_t *ahead = panel + (at < codes ? at : at + bytes - codes);
  for (size_t i = 0; i < bits; i++) vlm_prefetch_far(ahead + i * 64);
  if (block % 2 == 0) vlm_prefetch_far(panel + bytes + codes + block * sizeof(vlm_qn_group));
}

/// Prefetches a panel's tail: few rows of few inputs need its scales and sums soon after its first
/// codes.
VLM_INLINE void vlm_prefetch_tail(const vlm_panel_tail *tail) {
  __builtin_prefetch(tail->scale);
  __builtin_prefetch(tail->sum);
}

/// How a row is quantized: u = clamp(rint((x - quant.minimum) * inverse), 0, 255).
typedef struct vlm_row_range {
  vlm_row_quant quant;
  float inverse; // 0 where every u is 0
} vlm_row_range;

/// The definition for all instruction sets. A range so small that 255 / range overflows counts
/// as constant. Where the range is infinite or NaN, the row's minimum becomes that value, so
/// that results of such a row are not finite, rather than plausible and wrong.
VLM_INLINE vlm_row_range vlm_row_range_of(float minimum, float maximum) {
  const float range = maximum - minimum;
  const float inverse = 255.0f / range;
  if (!(range < INFINITY)) return (vlm_row_range){{0, range}, 0};
  minimum += 0.0f; // -0 becomes 0: which zero a vector minimum finds depends on its width
  if (!(range > 0) || !(inverse < INFINITY)) return (vlm_row_range){{0, minimum}, 0};
  return (vlm_row_range){{range / 255.0f, minimum}, inverse};
}

/// How a head of keys or values becomes int8: code = rint(x * inverse), x = code * scale.
typedef struct vlm_kv_scale {
  float scale;
  float inverse; // 0 where every code is 0
} vlm_kv_scale;

/// The definition for all instruction sets; `size` is the largest magnitude. Where that is infinite
/// or NaN the scale becomes NaN, so that results are not finite either.
VLM_INLINE vlm_kv_scale vlm_kv_scale_of(float size) {
  const float inverse = 127.0f / size;
  if (!(size < INFINITY)) return (vlm_kv_scale){NAN, 0};
  if (!(inverse < INFINITY)) return (vlm_kv_scale){0, 0};
  return (vlm_kv_scale){size / 127.0f, inverse};
}

/// The index of the element that position `at` has in dimension `k`.
VLM_INLINE size_t vlm_key_place(vlm_kv_format format, size_t d, size_t at, size_t k) {
  const size_t panel = at / VLM_KV_PANEL * vlm_key_rows(format, d) * VLM_KV_PANEL;
  const size_t j = at % VLM_KV_PANEL;
  return format == VLM_KV_BF16 ? panel + (k / 2 * VLM_KV_PANEL + j) * 2 + k % 2
                               : panel + k * VLM_KV_PANEL + j;
}
VLM_INLINE size_t vlm_value_place(vlm_kv_format format, size_t d, size_t at, size_t k) {
  const size_t stride = vlm_value_stride(d);
  return format == VLM_KV_BF16 ? (at / 2 * stride + k) * 2 + at % 2 : at * stride + k;
}

/// How many keys row r sees.
VLM_INLINE size_t vlm_visible_keys(const vlm_attention *a, size_t row) {
  return a->causal ? vlm_min_size(a->count, a->position + row + 1) : a->count;
}

/// The first key that row r sees.
VLM_INLINE size_t vlm_first_key(const vlm_attention *a, size_t row) {
  const size_t end = a->position + row + 1;
  return a->window && a->causal && end > a->window ? end - a->window : 0;
}

/// Positions that lie one behind the other.
typedef struct {
  vlm_kv_head kv; // whose position `first` is the first of them
  size_t first, count;
} vlm_kv_run;

/// Those from position `at` on, `most` at most.
VLM_INLINE vlm_kv_run vlm_kv_run_at(const vlm_attention *a, size_t at, size_t most) {
  vlm_kv_run run = {a->kv, at, most};
  if (!a->pages) return run;
  const size_t away = a->pages[at / a->page_keys];
  run.first = at % a->page_keys;
  run.count = vlm_min_size(most, a->page_keys - run.first);
  run.kv.keys = (uint8_t *)a->kv.keys + away;
  run.kv.values = (uint8_t *)a->kv.values + away;
  if (a->kv.format == VLM_KV_Q8) {
    run.kv.key_scales = a->kv.key_scales + away / sizeof(float);
    run.kv.value_scales = a->kv.value_scales + away / sizeof(float);
  }
  return run;
}

#endif
