// gemm_u8_q8 of few rows, straight from the codes: nothing is widened to 16 bits first.
//
//   multiply   u = 16 high + low, so that vpmaddubsw cannot saturate: |2 * 15 * -128| of the 8 steps
//              of a block stay in an int16. acc = sum over blocks of 16 * dot(high, w) + dot(low, w)
//   scratch    high and low of all rows
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
#if defined(__x86_64__)

#include "u8.h"

enum {
  TILE = 2,    // rows x 16 outputs: 8 int16 sums, and 4 int32 sums that are used once a block
  AHEAD = 4096 // bytes to ask for in advance, past the panel's end too
};

size_t vlm_q8_few_bytes__avx2(size_t inputs) {
  return 2 * VLM_AVX2_Q8_FEW_ROWS * vlm_block_count(inputs) * VLM_BLOCK_INPUTS;
}

VLM_TARGET_AVX2_BEGIN

/// Activations of all rows, cut in nibbles.
typedef struct nibbles {
  size_t stride; // from row to row of low and high
  uint8_t *low, *high;
} nibbles;

static nibbles cut(const vlm_gemm *g) {
  const size_t n = vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS;
  uint8_t *low = g->scratch, *high = low + VLM_AVX2_Q8_FEW_ROWS * n;
  const __m256i low4 = _mm256_set1_epi8(15);
  for (size_t r = 0; r < g->rows; r++) {
    const uint8_t *x = (const uint8_t *)g->x + r * g->x_stride;
    for (size_t k = 0; k < n; k += 32) {
      const __m256i u = _mm256_loadu_si256((const __m256i *)(x + k));
      _mm256_storeu_si256((__m256i *)(low + r * n + k), _mm256_and_si256(u, low4));
      _mm256_storeu_si256(
          (__m256i *)(high + r * n + k), _mm256_and_si256(_mm256_srli_epi16(u, 4), low4));
    }
  }
  return (nibbles){n, low, high};
}

/// 16 outputs of rows row ..< row + rows from a q8 panel.
VLM_INLINE void from_codes(
    const nibbles *x, size_t row, const uint8_t *codes, size_t blocks, int32_t *sums,
    const int rows) {
  const __m256i ones = _mm256_set1_epi16(1), sixteens = _mm256_set1_epi16(16);
  __m256i acc[TILE * 2];
  for (int i = 0; i < rows * 2; i++) acc[i] = _mm256_setzero_si256();
  for (size_t b = 0; b < blocks; b++) {
    __m256i low[TILE * 2], high[TILE * 2];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 2; i++) low[i] = high[i] =
        _mm256_setzero_si256();
    _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 8; i++) {
      const __m256i *w = (const __m256i *)(codes + b * 512 + i * 64);
      __builtin_prefetch(codes + b * 512 + i * 64 + AHEAD);
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
        const size_t at = (row + (size_t)r) * x->stride + b * 32 + i * 4;
        const __m256i l = vlm_broadcast4__avx2(x->low + at);
        const __m256i h = vlm_broadcast4__avx2(x->high + at);
        _Pragma("clang loop unroll(full)") for (int half = 0; half < 2; half++) {
          const int j = r * 2 + half;
          const __m256i v = _mm256_loadu_si256(w + half);
          low[j] = _mm256_add_epi16(low[j], _mm256_maddubs_epi16(l, v));
          high[j] = _mm256_add_epi16(high[j], _mm256_maddubs_epi16(h, v));
          VLM_KEEP_ORDER(low[j], high[j]);
        }
      }
    }
    _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 2; i++) {
      acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(low[i], ones));
      acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(high[i], sixteens));
    }
  }
  for (int i = 0; i < rows * 2; i++) _mm256_storeu_si256((__m256i *)(sums + i * 8), acc[i]);
}

void vlm_gemm_u8_q8_few__avx2(const vlm_gemm *g) {
  const nibbles x = cut(g);
  const size_t blocks = vlm_block_count(g->inputs);
  for (size_t panel = g->panel_begin; panel < vlm_panel_limit(g); panel++) {
    const uint8_t *codes = vlm_q8_panel(g, panel);
    int32_t sums[VLM_AVX2_Q8_FEW_ROWS * 16];
    size_t r = 0;
    for (; r + 2 <= g->rows; r += 2) from_codes(&x, r, codes, blocks, sums + r * 16, 2);
    if (r < g->rows) from_codes(&x, r, codes, blocks, sums + r * 16, 1);
    vlm_finish_i32__avx2(g, 0, g->rows, panel, vlm_q8_tail(g, panel), sums, 16);
  }
}

VLM_TARGET_END

#endif
