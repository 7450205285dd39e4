// y = softmax(scale * q . keys) values of keys and values in bf16; contract at vlm_attention
//
//   method     as lanes/attention.inc, with smaller tiles: queries and weights are rounded to bf16
//              and both products are dot products of pairs, summed in float. Scores, weights, and a
//              tile's keys and values stay in L1
//   order      sums are made in the order of dimensions and of keys, and tiles begin at multiples
//              of VLM_TILE_KEYS: a query's bits depend on nothing but its keys
//   exactness  with A, S, n and d as in lanes/attention.inc,
//              |y - exact| <= max |value| * 2 * (expm1(2 ((2^-9 + (d + 6) 2^-23) A + 2^-22 S)) +
//              2^-8 + (n + 40) 2^-23) of keys and values as they are stored; numbers below 2^-126
//              count as 0. The weights are divided by the sum of what they were rounded to
//   scratch    vlm_attention_tile; other formats are the avx512vnni kernel's
#if defined(__x86_64__)

#include "../avx512vnni/avx512vnni.h"
#include "attention_tile.h"
#include "avx512bf16.h"

VLM_TARGET_AVX512BF16_BEGIN

/// c[r][16 j ..] = sum over pairs k < depth of a[r][k] * b[k][j], as panels of 16 columns.
typedef struct {
  const uint32_t *a;
  size_t a_stride;
  const uint32_t *b;
  size_t b_step;  // pairs from k to k + 1
  size_t b_panel; // pairs from panel to panel
  size_t depth;
  bool half;      // of the last pairs of b only the first are there
  float *c;
  size_t c_stride;
  const float *shrink; // c[r] times shrink[r] is added to; NULL: nothing is
} pair_product;

VLM_INLINE void product_step(
    const uint32_t *a, size_t a_stride, const uint32_t *b, size_t b_panel, const int rows,
    const int panels, __mmask32 there, __m512 *acc) {
  __m512bh v[4];
  _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
    const uint32_t *from = b + (size_t)j * b_panel;
    v[j] = (__m512bh)(there == 0xffffffff ? _mm512_loadu_si512((const void *)from)
                                          : _mm512_maskz_loadu_epi16(there, from));
  }
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    __m512i pair = _mm512_set1_epi32((int)a[(size_t)r * a_stride]);
    __asm__("" : "+v"(pair)); // clang 17 crashes where it may fold the load into the product
    const __m512bh x = (__m512bh)pair;
    _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
        acc[r * panels + j] = _mm512_dpbf16_ps(acc[r * panels + j], x, v[j]);
  }
}

VLM_INLINE void product_tile(
    const pair_product *p, size_t row, size_t panel, const int rows, const int panels) {
  const size_t stride = p->a_stride, step = p->b_step, b_panel = p->b_panel;
  const uint32_t *a = p->a + row * stride, *b = p->b + panel * b_panel;
  float *c = p->c + row * p->c_stride + panel * 16;
  __m512 acc[24];
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
          acc[r * panels + j] = _mm512_setzero_ps();
  if (p->shrink)
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
        _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
            acc[r * panels + j] = _mm512_mul_ps(
                _mm512_loadu_ps(c + (size_t)r * p->c_stride + j * 16),
                _mm512_set1_ps(p->shrink[row + (size_t)r]));
  const size_t whole = p->depth - (p->half ? 1 : 0);
  for (size_t k = 0; k < whole; k++)
    product_step(a + k, stride, b + k * step, b_panel, rows, panels, 0xffffffff, acc);
  if (p->half)
    product_step(a + whole, stride, b + whole * step, b_panel, rows, panels, 0x55555555, acc);
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
          _mm512_storeu_ps(c + (size_t)r * p->c_stride + j * 16, acc[r * panels + j]);
}

/// All rows of some panels, `most` rows at a time; up to 3 rows more than there are.
VLM_INLINE void product_rows(
    const pair_product *p, size_t rows, size_t panel, const int panels, const int most) {
  size_t r = 0;
  for (; r + (size_t)most <= rows; r += (size_t)most) product_tile(p, r, panel, most, panels);
  for (; r + 1 < rows; r += 4) product_tile(p, r, panel, 4, panels);
  if (r < rows) product_tile(p, r, panel, 1, panels);
}

/// The panels go first: what is read of b stays in L1 for all rows.
static void product(const pair_product *p, size_t rows, size_t panels) {
  size_t j = 0;
  for (; j + 4 <= panels; j += 4) product_rows(p, rows, j, 4, 6);
  switch (panels - j) {
  case 3: product_rows(p, rows, j, 3, 8); return;
  case 2: product_rows(p, rows, j, 2, 12); return;
  case 1: product_rows(p, rows, j, 1, 12); return;
  }
}

/// Query heads first ..< first + rows of `all`.
static void attend(const vlm_attention *a, size_t first, size_t rows, size_t all) {
  vlm_attention_tile *t = a->scratch;
  const size_t d = a->kv.head_dim, stride = vlm_value_stride(d);
  vlm_tile_ask(a, first, first + rows);
  vlm_tile_begin(t, a, first, rows);
  size_t ask = first + rows;
  for (size_t start = 0; start < t->most; start += VLM_TILE_KEYS) {
    const size_t keys = vlm_min_size(VLM_TILE_KEYS, t->most - start);
    const pair_product scores = {
        .a = t->queries,
        .a_stride = t->query_stride,
        .b = (const uint32_t *)a->kv.keys + start * t->query_stride,
        .b_step = VLM_KV_PANEL,
        .b_panel = VLM_KV_PANEL * t->query_stride,
        .depth = (d + 1) / 2,
        .c = t->scores,
        .c_stride = VLM_SCORES_STRIDE,
    };
    product(&scores, rows, (keys + VLM_KV_PANEL - 1) / VLM_KV_PANEL);
    const size_t asked = vlm_min_size(ask + VLM_ASKED_QUERIES, all);
    vlm_tile_ask(a, ask, asked);
    ask = asked;
    vlm_tile_soften(t, start, keys);
    const pair_product sums = {
        .a = t->weights,
        .a_stride = VLM_WEIGHTS_STRIDE,
        .b = (const uint32_t *)a->kv.values + start / 2 * stride,
        .b_step = stride,
        .b_panel = 16,
        .depth = (keys + 1) / 2,
        .half = keys % 2 == 1,
        .c = t->outputs,
        .c_stride = stride,
        .shrink = t->shrink,
    };
    product(&sums, rows, stride / 16);
  }
  vlm_tile_end(t, a, first);
}

size_t vlm_attention_scratch_bytes__avx512bf16(size_t head_dim) {
  const size_t other = vlm_attention_scratch_bytes__avx512vnni(head_dim);
  const size_t own = vlm_attention_tile_bytes(head_dim);
  return own > other ? own : other;
}

void vlm_attention_f32__avx512bf16(const vlm_attention *a) {
  if (a->kv.format != VLM_KV_BF16) {
    vlm_attention_f32__avx512vnni(a);
    return;
  }
  const size_t all = a->rows * a->group;
  for (size_t first = 0; first < all; first += VLM_TILE_QUERIES)
    attend(a, first, vlm_min_size(VLM_TILE_QUERIES, all - first), all);
}

VLM_TARGET_END

#endif
