// What attention over bf16 keys and values is made of beside its two products, which tiles (amx)
// and dot products (avx512bf16) make in their own ways.
#ifndef VLM_ATTENTION_TILE_H
#define VLM_ATTENTION_TILE_H

#include "../internal.h"
#include "../x86_targets.h"

enum {
  VLM_TILE_QUERIES = 48,
  VLM_TILE_KEYS = 128,
  // Rows do not start at the same place of a page.
  VLM_SCORES_STRIDE = VLM_TILE_KEYS + 16,
  VLM_WEIGHTS_STRIDE = VLM_TILE_KEYS / 2 + 16,
  // Queries of the next tile that are asked for in advance with each tile of keys.
  VLM_ASKED_QUERIES = 10
};

/// Up to VLM_TILE_QUERIES query heads. A pair of bf16 is one uint32_t, the first in its low half.
typedef struct {
  float largest[VLM_TILE_QUERIES], shrink[VLM_TILE_QUERIES];
  float most_of[VLM_TILE_QUERIES][16]; // largest scores of a tile of keys, still in 16 lanes
  float sums[VLM_TILE_QUERIES][16];    // of the weights, in 16 lanes
  size_t seen[VLM_TILE_QUERIES];
  float scores[VLM_TILE_QUERIES * VLM_SCORES_STRIDE];
  uint32_t weights[VLM_TILE_QUERIES * VLM_WEIGHTS_STRIDE];
  uint32_t *queries; // [VLM_TILE_QUERIES][query_stride]
  size_t query_stride;
  float *outputs;    // [VLM_TILE_QUERIES][output_stride]
  size_t output_stride;
  size_t rows, most; // and the keys that any of them sees
  uint8_t rest[] __attribute__((aligned(64)));
} vlm_attention_tile;

VLM_TARGET_AVX512BF16_BEGIN

VLM_INLINE size_t vlm_attention_tile_bytes(size_t d) {
  const size_t row = vlm_key_rows(VLM_KV_BF16, d) * 2 + vlm_value_stride(d) * 4;
  return sizeof(vlm_attention_tile) + VLM_TILE_QUERIES * row;
}

VLM_INLINE __mmask16 vlm_first_lanes(size_t n) {
  return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/// Asks for the queries of some rows, which lie far apart, before they are converted.
VLM_INLINE void vlm_tile_ask(const vlm_attention *a, size_t first, size_t end) {
  const size_t d = a->kv.head_dim;
  for (size_t i = first; i < end; i++) {
    const float *q = a->q + i / a->group * a->q_stride + i % a->group * d;
    for (size_t k = 0; k < d; k += 16) __builtin_prefetch(q + k);
  }
}

/// Query heads first ..< first + rows, counted through the rows and the heads of the group.
VLM_INLINE void vlm_tile_begin(
    vlm_attention_tile *t, const vlm_attention *a, size_t first, size_t rows) {
  const size_t d = a->kv.head_dim;
  t->query_stride = vlm_key_rows(VLM_KV_BF16, d) / 2;
  t->output_stride = vlm_value_stride(d);
  t->queries = (uint32_t *)t->rest;
  t->outputs = (float *)(t->queries + VLM_TILE_QUERIES * t->query_stride);
  t->rows = rows;
  t->most = 0;
  // Exponentials are of base 2.
  const __m512 scale = _mm512_set1_ps(a->scale * 1.44269504f);
  for (size_t r = 0; r < rows; r++) {
    const size_t row = (first + r) / a->group, head = (first + r) % a->group;
    const float *q = a->q + row * a->q_stride + head * d;
    uint32_t *to = t->queries + r * t->query_stride;
    for (size_t k = 0; k < t->query_stride * 2; k += 32) {
      const size_t n = k < d ? d - k : 0, high = n > 16 ? n - 16 : 0;
      const __m512 v0 = _mm512_maskz_loadu_ps(vlm_first_lanes(n), q + k);
      const __m512 v1 = _mm512_maskz_loadu_ps(vlm_first_lanes(high), q + (high ? k + 16 : k));
      const __m512bh both =
          _mm512_cvtne2ps_pbh(_mm512_mul_ps(v1, scale), _mm512_mul_ps(v0, scale));
      _mm512_storeu_si512((void *)(to + k / 2), (__m512i)both);
    }
    t->seen[r] = vlm_visible_keys(a, row);
    if (t->seen[r] > t->most) t->most = t->seen[r];
    t->largest[r] = -INFINITY;
    _mm512_storeu_ps(t->sums[r], _mm512_setzero_ps());
  }
  memset(t->outputs, 0, rows * t->output_stride * sizeof *t->outputs);
}

/// 2^v for v <= 0, relative error below 7.6e-5, a twenty-fifth of a rounding to bf16; not below
/// 2^-126.
VLM_INLINE __m512 vlm_exp2_down(__m512 v) {
  const __m512 magic = _mm512_set1_ps(12582912.0f); // 1.5 * 2^23
  v = _mm512_max_ps(_mm512_set1_ps(-126), v);       // NaN stays
  const __m512 shifted = _mm512_add_ps(v, magic);
  const __m512 r = _mm512_sub_ps(v, _mm512_sub_ps(shifted, magic));
  __m512 p = _mm512_set1_ps(0.05517167f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24261113f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69326097f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.99992806f));
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), n));
}

/// 2^v for v <= 0 within 2e-7, and 1 for 0.
VLM_INLINE __m512 vlm_exp2_finely(__m512 v) {
  v = _mm512_max_ps(_mm512_set1_ps(-126), v); // NaN stays
  const __m512 n = _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(v, n);
  __m512 p = _mm512_set1_ps(0.0001534581242594868f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0013399930903688073f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.009618489071726799f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.05550328642129898f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24022646248340607f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.6931471824645996f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
  return _mm512_scalef_ps(p, n);
}

/// The largest of the 16 lanes of each of 16 rows.
VLM_INLINE __m512 vlm_largest_of_16(const float rows[16][16]) {
  __m512 eight[8], four[4], two[2];
  for (int i = 0; i < 8; i++) {
    const __m512 a = _mm512_loadu_ps(rows[i]), b = _mm512_loadu_ps(rows[i + 8]);
    eight[i] = _mm512_max_ps(
        _mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int i = 0; i < 4; i++)
    four[i] = _mm512_max_ps(
        _mm512_shuffle_f32x4(eight[i], eight[i + 4], 0x88),
        _mm512_shuffle_f32x4(eight[i], eight[i + 4], 0xdd));
  for (int i = 0; i < 2; i++)
    two[i] = _mm512_max_ps(
        _mm512_unpacklo_ps(four[i], four[i + 2]), _mm512_unpackhi_ps(four[i], four[i + 2]));
  const __m512 one = _mm512_max_ps(
      _mm512_unpacklo_ps(two[0], two[1]), _mm512_unpackhi_ps(two[0], two[1]));
  return _mm512_shuffle_f32x4(one, one, 0xd8); // rows 4...7 came to lie behind 8...11
}
/// 16 largest of a row's scores of this tile.
VLM_INLINE void vlm_tile_find_largest(vlm_attention_tile *t, size_t row, size_t seen) {
  const float *s = t->scores + row * VLM_SCORES_STRIDE;
  const __m512 none = _mm512_set1_ps(-INFINITY);
  __m512 most[2] = {none, none};
  size_t j = 0;
  for (; j + 32 <= seen; j += 32) {
    most[0] = _mm512_max_ps(most[0], _mm512_loadu_ps(s + j));
    most[1] = _mm512_max_ps(most[1], _mm512_loadu_ps(s + j + 16));
  }
  for (; j < seen; j += 16)
    most[0] =
        _mm512_max_ps(most[0], _mm512_mask_loadu_ps(none, vlm_first_lanes(seen - j), s + j));
  _mm512_storeu_ps(t->most_of[row], _mm512_max_ps(most[0], most[1]));
}

/// The largest score so far of all rows, and what a larger one makes of the sums before it.
VLM_INLINE void vlm_tile_grow(vlm_attention_tile *t) {
  for (size_t r = 0; r < t->rows; r += 16) {
    const __m512 before = _mm512_loadu_ps(t->largest + r);
    const __m512 largest = _mm512_max_ps(vlm_largest_of_16(t->most_of + r), before);
    _mm512_storeu_ps(t->largest + r, largest);
    _mm512_storeu_ps(t->shrink + r, vlm_exp2_finely(_mm512_sub_ps(before, largest)));
  }
}

VLM_INLINE __m512bh vlm_two_weights(
    const float *s, __m512 top, const bool all, __mmask16 low, __mmask16 high) {
  const __m512 e0 = vlm_exp2_down(_mm512_sub_ps(_mm512_loadu_ps(s), top));
  const __m512 e1 = vlm_exp2_down(_mm512_sub_ps(_mm512_loadu_ps(s + 16), top));
  if (all) return _mm512_cvtne2ps_pbh(e1, e0);
  return _mm512_cvtne2ps_pbh(_mm512_maskz_mov_ps(high, e1), _mm512_maskz_mov_ps(low, e0));
}

/// Scores (times log2 e) of `keys` keys to weights 2^(score - largest); zeros from `seen` on.
VLM_INLINE void vlm_tile_weigh(vlm_attention_tile *t, size_t row, size_t seen, size_t keys) {
  const float *s = t->scores + row * VLM_SCORES_STRIDE;
  uint32_t *w = t->weights + row * VLM_WEIGHTS_STRIDE;
  const __m512 top = _mm512_set1_ps(t->largest[row]);
  const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  // What is divided by in the end is the sum of what is multiplied.
  __m512 sums = _mm512_mul_ps(_mm512_loadu_ps(t->sums[row]), _mm512_set1_ps(t->shrink[row]));
  size_t j = 0;
  for (; j + 32 <= seen; j += 32) {
    const __m512bh both = vlm_two_weights(s + j, top, true, 0, 0);
    sums = _mm512_dpbf16_ps(sums, both, ones);
    _mm512_storeu_si512((void *)(w + j / 2), (__m512i)both);
  }
  if (j < seen) {
    const size_t rest = seen - j, above = rest > 16 ? rest - 16 : 0;
    const __m512bh both =
        vlm_two_weights(s + j, top, false, vlm_first_lanes(rest), vlm_first_lanes(above));
    sums = _mm512_dpbf16_ps(sums, both, ones);
    _mm512_storeu_si512((void *)(w + j / 2), (__m512i)both);
    j += 32;
  }
  for (; j < keys; j += 32) _mm512_storeu_si512((void *)(w + j / 2), _mm512_setzero_si512());
  _mm512_storeu_ps(t->sums[row], sums);
}

/// Rows one step after the other: reductions over the lanes of one row by itself would take longer
/// than its exponentials.
VLM_INLINE void vlm_tile_soften(vlm_attention_tile *t, size_t start, size_t keys) {
  size_t seen[VLM_TILE_QUERIES];
  for (size_t r = 0; r < t->rows; r++) {
    seen[r] = t->seen[r] > start ? vlm_min_size(keys, t->seen[r] - start) : 0;
    vlm_tile_find_largest(t, r, seen[r]);
  }
  vlm_tile_grow(t);
  for (size_t r = 0; r < t->rows; r++) vlm_tile_weigh(t, r, seen[r], keys);
}

VLM_INLINE void vlm_tile_end(const vlm_attention_tile *t, const vlm_attention *a, size_t first) {
  const size_t d = a->kv.head_dim;
  for (size_t r = 0; r < t->rows; r++) {
    float *y = a->y + (first + r) / a->group * a->y_stride + (first + r) % a->group * d;
    const float *from = t->outputs + r * t->output_stride;
    const __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_loadu_ps(t->sums[r])));
    for (size_t k = 0; k < d; k += 16)
      _mm512_mask_storeu_ps(
          y + k, vlm_first_lanes(d - k), _mm512_div_ps(_mm512_loadu_ps(from + k), total));
  }
}

VLM_TARGET_END

#endif
