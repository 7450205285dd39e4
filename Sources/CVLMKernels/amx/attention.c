// y = softmax(scale * q . keys) values of keys and values in bf16; contract at vlm_attention
//
//   tiles      16 queries x 32 pairs by 2 panels of 16 keys, then 16 rows of weights by 2 panels of
//              16 dimensions: a tile of keys or values is loaded once for up to 3 groups of queries
//   rest       of values of keys that are there: the last tile is filled up with zeros in scratch
//   exactness  that of avx512bf16/attention.c. Tiles sum even and odd elements apart, so the bits
//              differ from that kernel's; a single query takes this path as well
//   scratch    vlm_attention_tile, and behind it the last tile of values of a call
#if defined(__x86_64__)

#include "../avx512bf16/attention_tile.h"
#include "../avx512vnni/avx512vnni.h"
#include "amx.h"
#include "tiles.h"

VLM_TARGET_AMX_BEGIN

/// c[16 r ..][16 j ..] += a * b over whole tiles of 16 pairs.
typedef struct {
  const uint32_t *a;
  size_t a_stride;
  const uint32_t *b;
  size_t b_step;  // pairs from k to k + 1
  size_t b_panel; // pairs from panel to panel
  size_t tiles;   // of 16 pairs
  const uint32_t *last; // [16][last_step], instead of the last of b; NULL: that of b
  size_t last_step;
  float *c;
  size_t c_stride;
  bool add;
} tile_product;

VLM_INLINE void block(
    const tile_product *p, size_t group, size_t panel, const bool two_groups,
    const bool two_panels) {
  const size_t a_bytes = p->a_stride * 4, c_bytes = p->c_stride * 4;
  const uint32_t *a = p->a + group * 16 * p->a_stride;
  float *c = p->c + group * 16 * p->c_stride + panel * 16;
  if (p->add) {
    vlm_tile_load(VLM_TILE_C00, c, c_bytes);
    if (two_panels) vlm_tile_load(VLM_TILE_C01, c + 16, c_bytes);
    if (two_groups) vlm_tile_load(VLM_TILE_C10, c + 16 * p->c_stride, c_bytes);
    if (two_groups && two_panels) vlm_tile_load(VLM_TILE_C11, c + 16 * p->c_stride + 16, c_bytes);
  } else {
    vlm_tile_zero(VLM_TILE_C00);
    if (two_panels) vlm_tile_zero(VLM_TILE_C01);
    if (two_groups) vlm_tile_zero(VLM_TILE_C10);
    if (two_groups && two_panels) vlm_tile_zero(VLM_TILE_C11);
  }
  for (size_t k = 0; k < p->tiles; k++) {
    const bool last = p->last && k + 1 == p->tiles;
    const size_t step = last ? p->last_step : p->b_step;
    const uint32_t *b = last ? p->last + panel * 16 : p->b + panel * p->b_panel + k * 16 * step;
    const size_t next = last ? 16 : p->b_panel;
    vlm_tile_load(VLM_TILE_B0, b, step * 4);
    vlm_tile_load(VLM_TILE_A0, a + k * 16, a_bytes);
    vlm_tile_dpbf16ps(VLM_TILE_C00, VLM_TILE_A0, VLM_TILE_B0);
    if (two_panels) {
      vlm_tile_load(VLM_TILE_B1, b + next, step * 4);
      vlm_tile_dpbf16ps(VLM_TILE_C01, VLM_TILE_A0, VLM_TILE_B1);
    }
    if (two_groups) {
      vlm_tile_load(VLM_TILE_A1, a + 16 * p->a_stride + k * 16, a_bytes);
      vlm_tile_dpbf16ps(VLM_TILE_C10, VLM_TILE_A1, VLM_TILE_B0);
      if (two_panels) vlm_tile_dpbf16ps(VLM_TILE_C11, VLM_TILE_A1, VLM_TILE_B1);
    }
  }
  vlm_tile_store(VLM_TILE_C00, c, c_bytes);
  if (two_panels) vlm_tile_store(VLM_TILE_C01, c + 16, c_bytes);
  if (two_groups) vlm_tile_store(VLM_TILE_C10, c + 16 * p->c_stride, c_bytes);
  if (two_groups && two_panels) vlm_tile_store(VLM_TILE_C11, c + 16 * p->c_stride + 16, c_bytes);
}

static void product(const tile_product *p, size_t groups, size_t panels) {
  for (size_t j = 0; j < panels; j += 2)
    for (size_t g = 0; g < groups; g += 2) {
      const bool two_groups = g + 1 < groups, two_panels = j + 1 < panels;
      if (two_groups && two_panels) {
        block(p, g, j, true, true);
      } else if (two_groups) {
        block(p, g, j, true, false);
      } else if (two_panels) {
        block(p, g, j, false, true);
      } else {
        block(p, g, j, false, false);
      }
    }
}

/// The values of the last keys, fewer than 32 of them, zeros after.
static void copy_last_values(const uint32_t *from, size_t stride, size_t keys, uint32_t *to) {
  memset(to, 0, 16 * stride * sizeof *to);
  memcpy(to, from, keys / 2 * stride * sizeof *to);
  if (keys % 2 == 0) return;
  for (size_t k = 0; k < stride; k++)
    to[keys / 2 * stride + k] = from[keys / 2 * stride + k] & 0xffff;
}

static void attend(const vlm_attention *a, size_t first, size_t rows, size_t all) {
  vlm_attention_tile *t = a->scratch;
  const size_t d = a->kv.head_dim, stride = vlm_value_stride(d), groups = (rows + 15) / 16;
  uint32_t *last = (uint32_t *)((uint8_t *)a->scratch + vlm_attention_tile_bytes(d));
  vlm_tile_ask(a, first, first + rows);
  vlm_tile_begin(t, a, first, rows);
  // The tiles have 16 rows whether or not there are as many queries.
  for (size_t r = rows; r < groups * 16; r++) {
    memset(t->queries + r * t->query_stride, 0, t->query_stride * sizeof *t->queries);
    memset(t->weights + r * VLM_WEIGHTS_STRIDE, 0, VLM_WEIGHTS_STRIDE * sizeof *t->weights);
    memset(t->outputs + r * stride, 0, stride * sizeof *t->outputs);
  }
  size_t ask = first + rows;
  for (size_t start = 0; start < t->most; start += VLM_TILE_KEYS) {
    const size_t keys = vlm_min_size(VLM_TILE_KEYS, t->most - start);
    const tile_product scores = {
        .a = t->queries,
        .a_stride = t->query_stride,
        .b = (const uint32_t *)a->kv.keys + start * t->query_stride,
        .b_step = VLM_KV_PANEL,
        .b_panel = VLM_KV_PANEL * t->query_stride,
        .tiles = t->query_stride / 16,
        .c = t->scores,
        .c_stride = VLM_SCORES_STRIDE,
    };
    product(&scores, groups, (keys + VLM_KV_PANEL - 1) / VLM_KV_PANEL);
    const size_t asked = vlm_min_size(ask + VLM_ASKED_QUERIES, all);
    vlm_tile_ask(a, ask, asked);
    ask = asked;
    vlm_tile_soften(t, start, keys);
    for (size_t r = 0; r < rows; r++)
      for (size_t k = 0; k < stride; k += 16) {
        float *sum = t->outputs + r * stride + k;
        _mm512_storeu_ps(
            sum, _mm512_mul_ps(_mm512_loadu_ps(sum), _mm512_set1_ps(t->shrink[r])));
      }
    const uint32_t *values = (const uint32_t *)a->kv.values + start / 2 * stride;
    if (keys % 32) copy_last_values(values + keys / 32 * 16 * stride, stride, keys % 32, last);
    const tile_product sums = {
        .a = t->weights,
        .a_stride = VLM_WEIGHTS_STRIDE,
        .b = values,
        .b_step = stride,
        .b_panel = 16,
        .tiles = (keys + 31) / 32,
        .last = keys % 32 ? last : NULL,
        .last_step = stride,
        .c = t->outputs,
        .c_stride = stride,
        .add = true,
    };
    product(&sums, groups, stride / 16);
  }
  vlm_tile_end(t, a, first);
}

size_t vlm_attention_scratch_bytes__amx(size_t head_dim) {
  const size_t other = vlm_attention_scratch_bytes__avx512vnni(head_dim);
  const size_t own = vlm_attention_tile_bytes(head_dim) + 16 * vlm_value_stride(head_dim) * 4;
  return own > other ? own : other;
}

void vlm_attention_f32__amx(const vlm_attention *a) {
  if (a->kv.format != VLM_KV_BF16) {
    vlm_attention_f32__avx512vnni(a);
    return;
  }
  const vlm_tile_config config = vlm_tile_config_for(16, 16);
  vlm_tile_configure(&config);
  const size_t all = a->rows * a->group;
  for (size_t first = 0; first < all; first += VLM_TILE_QUERIES)
    attend(a, first, vlm_min_size(VLM_TILE_QUERIES, all - first), all);
  vlm_tile_release();
}

VLM_TARGET_END

#endif
