// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in f16 or bf16 panels
//
//   registers  12 rows x 2 panels of float sums; weights are widened once for all rows
//   reads      x[r][k] for k < K only
//   exactness  one fused multiply-add an input, in the order of k, whatever the rows beside it:
//              |sum - exact| <= (K + 1) * 2^-24 * sum of |x * W|
#if defined(__x86_64__)

#include "../x86_targets.h"
#include "avx512vnni.h"

enum {
  SUMS = 24,
  FEW_ROWS = 4,
  // Few rows read the whole matrix once: bytes to ask for in advance, past the panel's end too.
  AHEAD = 4096
};

VLM_TARGET_AVX512VNNI_BEGIN

typedef struct {
  const vlm_gemm *g;
  size_t panel, panel_values;
  const uint16_t *values;
} half_panels;

/// acc += x[r][k] * w of one input for all rows and panels.
VLM_INLINE void one_input(
    const float *x, size_t x_stride, const __m512 *w, __m512 *acc, const int rows,
    const int panels) {
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    const __m512 v = _mm512_set1_ps(x[(size_t)r * x_stride]);
    _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
        acc[r * panels + j] = _mm512_fmadd_ps(v, w[j], acc[r * panels + j]);
  }
}

VLM_INLINE void tile(
    const half_panels *p, size_t row, const int rows, const int panels, const bool bf16) {
  const vlm_gemm *g = p->g;
  const float *x = (const float *)g->x + row * g->x_stride;
  __m512 acc[SUMS], w[4], odd[4];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels; i++)
      acc[i] = _mm512_setzero_ps();

  if (bf16) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    for (size_t k = 0; k < g->inputs; k += 2) {
      // A lane holds inputs k and k + 1 of one output; the upper half of a float is a bf16.
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
        const uint16_t *at = p->values + (size_t)j * p->panel_values + k * 16;
        if (rows <= 8) __builtin_prefetch((const char *)at + AHEAD);
        const __m512i pair = _mm512_loadu_si512(at);
        w[j] = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
        odd[j] = _mm512_castsi512_ps(_mm512_and_si512(pair, upper));
      }
      one_input(x + k, g->x_stride, w, acc, rows, panels);
      if (k + 1 < g->inputs) one_input(x + k + 1, g->x_stride, odd, acc, rows, panels);
    }
  } else {
    for (size_t k = 0; k < g->inputs; k++) {
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
        const uint16_t *at = p->values + (size_t)j * p->panel_values + k * 16;
        if (rows <= 8) __builtin_prefetch((const char *)at + AHEAD);
        w[j] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at));
      }
      one_input(x + k, g->x_stride, w, acc, rows, panels);
    }
  }

  float sums[SUMS * 16] __attribute__((aligned(64)));
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels; i++)
      _mm512_store_ps(sums + i * 16, acc[i]);
  for (int j = 0; j < panels; j++)
    vlm_finish_f32__avx512vnni(
        g, row, (size_t)rows, p->panel + (size_t)j, sums + j * 16, (size_t)panels * 16);
}

VLM_INLINE void few_rows(const half_panels *p, const bool bf16) {
  switch (p->g->rows) {
  case 1: tile(p, 0, 1, 4, bf16); return;
  case 2: tile(p, 0, 2, 4, bf16); return;
  case 3: tile(p, 0, 3, 4, bf16); return;
  case 4: tile(p, 0, 4, 4, bf16); return;
  }
}

VLM_INLINE void all_rows(const half_panels *p, const int panels, const bool bf16) {
  const size_t rows = p->g->rows;
  size_t r = 0;
  for (; r + 12 <= rows; r += 12) tile(p, r, 12, panels, bf16);
  if (r + 8 <= rows) tile(p, r, 8, panels, bf16), r += 8;
  if (r + 4 <= rows) tile(p, r, 4, panels, bf16), r += 4;
  switch (rows - r) {
  case 3: tile(p, r, 3, panels, bf16); return;
  case 2: tile(p, r, 2, panels, bf16); return;
  case 1: tile(p, r, 1, panels, bf16); return;
  }
}

VLM_INLINE void gemm(const vlm_gemm *g, const bool bf16) {
  const size_t end = vlm_panel_limit(g);
  for (size_t panel = g->panel_begin; panel < end;) {
    const half_panels p = {
        g, panel, vlm_half_panel_bytes(g->inputs) / 2, vlm_half_panel(g, panel)};
    if (g->rows <= FEW_ROWS && end - panel >= 4) {
      few_rows(&p, bf16);
      panel += 4;
    } else if (end - panel >= 2) {
      all_rows(&p, 2, bf16);
      panel += 2;
    } else {
      all_rows(&p, 1, bf16);
      panel += 1;
    }
  }
}

void vlm_gemm_f32_f16__avx512vnni(const vlm_gemm *g) { gemm(g, false); }
void vlm_gemm_f32_bf16__avx512vnni(const vlm_gemm *g) { gemm(g, true); }

VLM_TARGET_END

#endif
