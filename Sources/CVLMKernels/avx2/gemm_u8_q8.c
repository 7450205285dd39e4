// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      panels of q8
//
//   multiply   vpmaddubsw, the u8 x s8 product of this set, saturates its 16-bit sums: 2 * 255 *
//              127 passes 32767. So both sides are widened to 16 bits and vpmaddwd adds two exact
//              products into an int32
//   blocking   ROWS x BLOCKS of activations are widened once for PANELS panels and lie in L2; the
//              same blocks of a panel are widened once for all those rows and lie in L1
//   registers  6 rows x 16 outputs: 12 sums, 2 rows of weights, 1 broadcast, 1 product: all 16
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
#if defined(__x86_64__)

#include "u8.h"

enum {
  TILE = 6,
  ROWS = 96,
  BLOCKS = 16, // 512 inputs
  PANELS = 8,
  // Not a power of two, so that the rows of a tile do not share the sets of the L1 cache.
  X_STRIDE = BLOCKS * VLM_BLOCK_INPUTS + 32
};

typedef struct space {
  int16_t weights[BLOCKS * VLM_BLOCK_INPUTS * VLM_PANEL_OUTPUTS];
  int16_t x[ROWS * X_STRIDE];
  int32_t sums[PANELS][ROWS * VLM_PANEL_OUTPUTS];
} space;

size_t vlm_gemm_scratch_bytes__avx2(size_t inputs) {
  const size_t few = vlm_q8_few_bytes__avx2(inputs), q4 = vlm_q4_bytes__avx2(inputs);
  const size_t larger = few > q4 ? few : q4;
  return larger > sizeof(space) ? larger : sizeof(space);
}

VLM_TARGET_AVX2_BEGIN

/// Some blocks of a panel as int16: for every 4 inputs 16 outputs x inputs 0 and 2, then 1 and 3.
static void widen_codes(const uint8_t *codes, size_t blocks, int16_t *to) {
  for (size_t i = 0; i < blocks * 8; i++, codes += 64, to += 64) {
    for (size_t half = 0; half < 2; half++) {
      const __m256i four = _mm256_loadu_si256((const __m256i *)(codes + half * 32));
      const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8);
      _mm256_storeu_si256((__m256i *)(to + half * 16), even);
      _mm256_storeu_si256((__m256i *)(to + 32 + half * 16), _mm256_srai_epi16(four, 8));
    }
  }
}

/// Some blocks of activations as int16, of every 4 inputs first 0 and 2, then 1 and 3.
static void widen_rows(
    const vlm_gemm *g, size_t row, size_t rows, size_t k, size_t n, int16_t *to) {
  const __m256i low = _mm256_set1_epi16(0xff);
  for (size_t r = 0; r < rows; r++) {
    const uint8_t *x = (const uint8_t *)g->x + (row + r) * g->x_stride + k;
    for (size_t i = 0; i < n; i += VLM_BLOCK_INPUTS) {
      // The middle quarters change places, so that unpacking leaves the order of the inputs.
      const __m256i u =
          _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)(x + i)), 0xd8);
      const __m256i even = _mm256_and_si256(u, low), odd = _mm256_srli_epi16(u, 8);
      __m256i *at = (__m256i *)(to + r * X_STRIDE + i);
      const __m256i first = _mm256_unpacklo_epi32(even, odd);
      const __m256i second = _mm256_unpackhi_epi32(even, odd);
      _mm256_storeu_si256(at, first);
      _mm256_storeu_si256(at + 1, second);
    }
  }
}

/// sums[r][n] (+)= the products of n inputs; both operands widened.
VLM_INLINE void tile(
    const int16_t *x, const int16_t *weights, size_t n, bool first, int32_t *sums,
    const int rows) {
  __m256i acc[TILE * 2];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 2; i++) acc[i] =
      first ? _mm256_setzero_si256() : _mm256_loadu_si256((const __m256i *)(sums + i * 8));
  _Pragma("clang loop unroll_count(4)") for (size_t k = 0; k < n; k += 2) {
    const __m256i w0 = _mm256_loadu_si256((const __m256i *)(weights + k * 16));
    const __m256i w1 = _mm256_loadu_si256((const __m256i *)(weights + k * 16 + 16));
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
      const __m256i u = vlm_broadcast4__avx2(x + r * X_STRIDE + k);
      acc[2 * r] = _mm256_add_epi32(acc[2 * r], _mm256_madd_epi16(u, w0));
      acc[2 * r + 1] = _mm256_add_epi32(acc[2 * r + 1], _mm256_madd_epi16(u, w1));
      VLM_KEEP_ORDER(acc[2 * r], acc[2 * r + 1]);
    }
  }
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 2; i++)
      _mm256_storeu_si256((__m256i *)(sums + i * 8), acc[i]);
}

static void all_tiles(
    const int16_t *x, const int16_t *weights, size_t rows, size_t n, bool first, int32_t *sums) {
  size_t r = 0;
  for (; r + TILE <= rows; r += TILE)
    tile(x + r * X_STRIDE, weights, n, first, sums + r * 16, TILE);
  x += r * X_STRIDE, sums += r * 16;
  switch (rows - r) {
  case 1: tile(x, weights, n, first, sums, 1); return;
  case 2: tile(x, weights, n, first, sums, 2); return;
  case 3: tile(x, weights, n, first, sums, 3); return;
  case 4: tile(x, weights, n, first, sums, 4); return;
  case 5: tile(x, weights, n, first, sums, 5); return;
  }
}

/// ROWS rows at most, of PANELS panels at most. `widened`: the activations already are.
static void some_panels(
    const vlm_gemm *g, size_t row, size_t rows, size_t panel, size_t panels, bool widened) {
  space *s = g->scratch;
  const size_t count = vlm_block_count(g->inputs);
  size_t block = 0;
  do { // once even without inputs: the sums are 0 then
    const size_t blocks = vlm_min_size(BLOCKS, count - block), n = blocks * VLM_BLOCK_INPUTS;
    if (!widened) widen_rows(g, row, rows, block * VLM_BLOCK_INPUTS, n, s->x);
    for (size_t p = 0; p < panels; p++) {
      widen_codes(vlm_q8_panel(g, panel + p) + block * 512, blocks, s->weights);
      all_tiles(s->x, s->weights, rows, n, block == 0, s->sums[p]);
    }
    block += blocks;
  } while (block < count);
  for (size_t p = 0; p < panels; p++)
    vlm_finish_i32__avx2(
        g, row, rows, panel + p, vlm_q8_tail(g, panel + p), s->sums[p], VLM_PANEL_OUTPUTS);
}

void vlm_gemm_u8_q8__avx2(const vlm_gemm *g) {
  if (g->rows <= VLM_AVX2_Q8_FEW_ROWS) {
    vlm_gemm_u8_q8_few__avx2(g);
    return;
  }
  const size_t end = vlm_panel_limit(g);
  const bool whole = vlm_block_count(g->inputs) <= BLOCKS; // widened rows serve all panels
  for (size_t row = 0; row < g->rows; row += ROWS) {
    const size_t rows = vlm_min_size(ROWS, g->rows - row);
    for (size_t panel = g->panel_begin; panel < end; panel += PANELS)
      some_panels(
          g, row, rows, panel, vlm_min_size(PANELS, end - panel),
          whole && panel > g->panel_begin);
  }
}

VLM_TARGET_END

#endif
