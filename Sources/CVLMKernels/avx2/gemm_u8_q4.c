// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//     = sum over blocks of step * dot(u, nibble) + offset * sum(u)
//
//   multiply   vpmaddubsw of activations and nibbles cannot saturate: 2 * 255 * 15 of 4 steps stay
//              in an int16. vpmaddwd then multiplies by step, and offset by sum(u) <= 32 * 255.
//              That takes fewer instructions than int8 codes do, at any number of rows
//   registers  4 rows x 8 outputs, or 2 x 16: 4 int32 sums (one use a block), 8 int16 sums
//   scratch    the sums of the blocks of ROWS rows
//   exactness  bit-exact with scalar/gemm_u8_q4.c, but for the activation
#if defined(__x86_64__)

#include "u8.h"

enum {
  SUMS = 4,
  ROWS = 48 // a multiple of 4; their activations stay in L2 while all panels pass
};

size_t vlm_q4_bytes__avx2(size_t inputs) {
  return ROWS * vlm_block_count(inputs) * sizeof(int32_t);
}

VLM_TARGET_AVX2_BEGIN

/// Sums of the activations of every block of some rows: sums[r * blocks + b].
static void sum_blocks(const vlm_gemm *g, size_t row, size_t rows, int32_t *sums) {
  const size_t blocks = vlm_block_count(g->inputs);
  for (size_t r = 0; r < rows; r++) {
    const uint8_t *x = (const uint8_t *)g->x + (row + r) * g->x_stride;
    for (size_t b = 0; b < blocks; b++) {
      const __m256i quarters = _mm256_sad_epu8(
          _mm256_loadu_si256((const __m256i *)(x + b * 32)), _mm256_setzero_si256());
      const __m128i halves = _mm_add_epi64(
          _mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));
      sums[r * blocks + b] = _mm_extract_epi32(halves, 0) + _mm_extract_epi32(halves, 2);
    }
  }
}

/// `halves` times 8 outputs of `rows` rows; `half` is the first of them in its panel.
VLM_INLINE void from_nibbles(
    const vlm_gemm *g, size_t row, const int32_t *block_sums, size_t panel, size_t half,
    int32_t *sums, const int rows, const int halves) {
  const size_t blocks = vlm_block_count(g->inputs);
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride, *packed = vlm_q4_panel(g, panel) + half * 32;
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  const __m256i low4 = _mm256_set1_epi8(15), words = _mm256_set1_epi32(0x00010001);
  __m256i acc[SUMS];
  for (int i = 0; i < rows * halves; i++) acc[i] = _mm256_setzero_si256();
  for (size_t b = 0; b < blocks; b++) {
    if (half == 0) vlm_prefetch_q4(g, packed, b);
    // The low and the high nibbles of a block have 4 steps each.
    __m256i low[SUMS], high[SUMS];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * halves; i++) low[i] = high[i] =
        _mm256_setzero_si256();
    _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 4; i++) {
      _Pragma("clang loop unroll(full)") for (int h = 0; h < halves; h++) {
        const __m256i bytes =
            _mm256_loadu_si256((const __m256i *)(packed + b * 256 + i * 64 + h * 32));
        const __m256i w0 = _mm256_and_si256(bytes, low4);
        const __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low4);
        _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
          const uint8_t *at = x + (size_t)r * g->x_stride + b * 32 + i * 8;
          const __m256i p0 = _mm256_maddubs_epi16(vlm_broadcast4__avx2(at), w0);
          const __m256i p1 = _mm256_maddubs_epi16(vlm_broadcast4__avx2(at + 4), w1);
          const int j = r * halves + h;
          low[j] = _mm256_add_epi16(low[j], p0);
          high[j] = _mm256_add_epi16(high[j], p1);
          VLM_KEEP_ORDER(low[j], high[j]);
        }
      }
    }
    _Pragma("clang loop unroll(full)") for (int h = 0; h < halves; h++) {
      const size_t first = (half + (size_t)h) * 8;
      const __m256i step = _mm256_mullo_epi32(
          _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(groups[b].step + first))),
          words);
      const __m256i offset =
          _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(groups[b].offset + first)));
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
        // The upper word of the sum is 0: it fits 13 bits.
        const __m256i sum = _mm256_set1_epi32(block_sums[(size_t)r * blocks + b]);
        const int j = r * halves + h;
        acc[j] = _mm256_add_epi32(acc[j], _mm256_madd_epi16(low[j], step));
        acc[j] = _mm256_add_epi32(acc[j], _mm256_madd_epi16(high[j], step));
        acc[j] = _mm256_add_epi32(acc[j], _mm256_madd_epi16(sum, offset));
      }
    }
  }
  for (int i = 0; i < rows * halves; i++)
    _mm256_storeu_si256((__m256i *)(sums + i / halves * 16 + i % halves * 8), acc[i]);
}

/// 16 outputs of rows row ..< row + rows from a q4 panel.
VLM_INLINE void q4_rows(
    const vlm_gemm *g, size_t row, const int32_t *block_sums, size_t panel, int32_t *sums,
    const int rows) {
  if (rows <= 2) {
    from_nibbles(g, row, block_sums, panel, 0, sums, rows, 2);
  } else {
    from_nibbles(g, row, block_sums, panel, 0, sums, rows, 1);
    from_nibbles(g, row, block_sums, panel, 1, sums + 8, rows, 1);
  }
}

static void some_rows(
    const vlm_gemm *g, size_t row, size_t rows, const int32_t *block_sums, size_t panel) {
  const size_t blocks = vlm_block_count(g->inputs);
  int32_t sums[ROWS * 16];
  size_t r = 0;
  for (; r + 4 <= rows; r += 4)
    q4_rows(g, row + r, block_sums + r * blocks, panel, sums + r * 16, 4);
  block_sums += r * blocks;
  switch (rows - r) {
  case 1: q4_rows(g, row + r, block_sums, panel, sums + r * 16, 1); break;
  case 2: q4_rows(g, row + r, block_sums, panel, sums + r * 16, 2); break;
  case 3: q4_rows(g, row + r, block_sums, panel, sums + r * 16, 3); break;
  }
  vlm_finish_i32__avx2(g, row, rows, panel, vlm_q4_tail(g, panel), sums, 16);
}

void vlm_gemm_u8_q4__avx2(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g);
  for (size_t row = 0; row < g->rows; row += ROWS) {
    const size_t rows = vlm_min_size(ROWS, g->rows - row);
    sum_blocks(g, row, rows, g->scratch);
    for (size_t panel = g->panel_begin; panel < end; panel++)
      some_rows(g, row, rows, g->scratch, panel);
  }
}

VLM_TARGET_END

#endif
