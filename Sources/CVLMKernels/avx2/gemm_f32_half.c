// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in f16 or bf16 panels
//
//   registers  5 rows x 16 outputs of float sums, or 1 row x 64, 2 rows x 32: enough sums to hide
//              the latency of vfmadd; weights are widened once for all rows
//   reads      x[r][k] for k < K only
//   exactness  one fused multiply-add an input, in the order of k, whatever the rows beside it:
//              |sum - exact| <= (K + 1) * 2^-24 * sum of |x * W|
#if defined(__x86_64__)

#include "../x86_targets.h"
#include "avx2.h"

enum {
  ROWS = 5,
  SUMS = 10,
  AHEAD = 4096 // bytes to ask for in advance, past the panel's end too
};

VLM_TARGET_AVX2_BEGIN

/// acc += x[r][k] * w of one input, 16 outputs in two registers; a row's sums are `step` apart.
VLM_INLINE void one_input(
    const float *x, size_t x_stride, __m256 w0, __m256 w1, __m256 *acc, const int rows,
    const int step) {
  _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
    const __m256 v = _mm256_broadcast_ss(x + (size_t)r * x_stride);
    acc[step * r] = _mm256_fmadd_ps(v, w0, acc[step * r]);
    acc[step * r + 1] = _mm256_fmadd_ps(v, w1, acc[step * r + 1]);
  }
}

VLM_INLINE __m256i load(const uint16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

VLM_INLINE __m256 low_half(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

VLM_INLINE __m256 high_half(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

VLM_INLINE void tile(
    const vlm_gemm *g, size_t panel, size_t row, const int rows, const int panels,
    const bool bf16) {
  const float *x = (const float *)g->x + row * g->x_stride;
  const uint16_t *values = vlm_half_panel(g, panel);
  const size_t next = vlm_half_panel_bytes(g->inputs) / 2; // from panel to panel
  const int step = 2 * panels;
  __m256 acc[SUMS];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * step; i++)
      acc[i] = _mm256_setzero_ps();

  if (bf16) {
    for (size_t k = 0; k < g->inputs; k += 2) {
      // A lane holds inputs k and k + 1 of one output; the upper half of a float is a bf16.
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
        const uint16_t *at = values + (size_t)j * next + k * 16;
        __builtin_prefetch((const char *)at + AHEAD);
        const __m256i a = load(at), b = load(at + 16);
        one_input(x + k, g->x_stride, low_half(a), low_half(b), acc + 2 * j, rows, step);
        if (k + 1 < g->inputs)
          one_input(x + k + 1, g->x_stride, high_half(a), high_half(b), acc + 2 * j, rows, step);
      }
    }
  } else {
    for (size_t k = 0; k < g->inputs; k++) {
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
        const uint16_t *at = values + (size_t)j * next + k * 16;
        __builtin_prefetch((const char *)at + AHEAD);
        const __m256i both = load(at);
        const __m256 a = _mm256_cvtph_ps(_mm256_castsi256_si128(both));
        const __m256 b = _mm256_cvtph_ps(_mm256_extracti128_si256(both, 1));
        one_input(x + k, g->x_stride, a, b, acc + 2 * j, rows, step);
      }
    }
  }

  float sums[SUMS * 8];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * step; i++)
      _mm256_storeu_ps(sums + i * 8, acc[i]);
  for (int j = 0; j < panels; j++)
    vlm_finish_f32__avx2(
        g, row, (size_t)rows, panel + (size_t)j, sums + j * 16, (size_t)panels * 16);
}

/// All rows of one panel.
VLM_INLINE void all_rows(const vlm_gemm *g, size_t panel, const bool bf16) {
  size_t r = 0;
  for (; r + ROWS <= g->rows; r += ROWS) tile(g, panel, r, ROWS, 1, bf16);
  switch (g->rows - r) {
  case 4: tile(g, panel, r, 4, 1, bf16); return;
  case 3: tile(g, panel, r, 3, 1, bf16); return;
  case 2: tile(g, panel, r, 2, 1, bf16); return;
  case 1: tile(g, panel, r, 1, 1, bf16); return;
  }
}

VLM_INLINE void gemm(const vlm_gemm *g, const bool bf16) {
  const size_t end = vlm_panel_limit(g);
  for (size_t panel = g->panel_begin; panel < end;) {
    if (g->rows == 1 && end - panel >= 4) {
      tile(g, panel, 0, 1, 4, bf16);
      panel += 4;
    } else if (g->rows == 2 && end - panel >= 2) {
      tile(g, panel, 0, 2, 2, bf16);
      panel += 2;
    } else {
      all_rows(g, panel, bf16);
      panel += 1;
    }
  }
}

void vlm_gemm_f32_f16__avx2(const vlm_gemm *g) { gemm(g, false); }
void vlm_gemm_f32_bf16__avx2(const vlm_gemm *g) { gemm(g, true); }

VLM_TARGET_END

#endif
