// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      q8 panels, and q4 panels expanded to them
//
//   multiply   vpmaddubsw, the u8 x s8 product of this set, saturates its 16-bit sums: 2 * 255 *
//              127 passes 32767. So both sides are widened to 16 bits and vpmaddwd adds two exact
//              products into an int32. The activations of a tile are widened once, in scratch; a
//              widened row of codes serves 3 activation rows.
//   lanes      64 codes [16 outputs][4 inputs] are 4 registers of 4 outputs x 4 inputs; vpmaddwd
//              leaves 2 partial sums of an output side by side, added when K is done
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
#if defined(__x86_64__)

#include "../x86_targets.h"
#include "avx2.h"
#include "u8_codes.h"

enum { ROWS = 3 };

VLM_TARGET_AVX2_BEGIN

static size_t wide_bytes(size_t inputs) {
  return vlm_block_count(inputs) * VLM_BLOCK_INPUTS * sizeof(int16_t);
}

size_t vlm_gemm_scratch_bytes__avx2(size_t inputs) {
  return ROWS * wide_bytes(inputs) + VLM_AVX2_PANELS * vlm_q8_tail_offset(inputs);
}

int8_t *vlm_expanded_codes__avx2(const vlm_gemm *g) {
  return (int8_t *)g->scratch + ROWS * wide_bytes(g->inputs);
}

/// Activations of some rows as int16, row after row.
static void widen_rows(const vlm_gemm *g, size_t row, size_t rows) {
  const size_t inputs = wide_bytes(g->inputs) / sizeof(int16_t);
  int16_t *wide = g->scratch;
  for (size_t r = 0; r < rows; r++) {
    const uint8_t *x = (const uint8_t *)g->x + (row + r) * g->x_stride;
    for (size_t k = 0; k < inputs; k += 16)
      _mm256_storeu_si256(
          (__m256i *)(wide + r * inputs + k),
          _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(x + k))));
  }
}

/// Adds neighbouring partial sums: lanes 0...3 of outputs 4 q ..< 4 q + 4.
VLM_INLINE __m128i add_pairs(__m256i acc) {
  const __m256i sums = _mm256_hadd_epi32(acc, acc); // o0 o1 o0 o1 | o2 o3 o2 o3
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(sums, 0x08));
}

VLM_INLINE void tile(
    const vlm_u8_codes *c, size_t panel, const int8_t *codes, size_t row, const int rows) {
  const vlm_gemm *g = c->g;
  const size_t inputs = wide_bytes(g->inputs) / sizeof(int16_t);
  const int16_t *wide = g->scratch;
  __m256i acc[ROWS * 4];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 4; i++)
      acc[i] = _mm256_setzero_si256();

  for (size_t k = 0; k < inputs; k += 4) {
    __m256i u[ROWS];
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
      int64_t four;
      memcpy(&four, wide + (size_t)r * inputs + k, 8);
      u[r] = _mm256_set1_epi64x(four);
    }
    _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) {
      const __m256i w =
          _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(codes + k * 16 + q * 16)));
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)
          acc[r * 4 + q] = _mm256_add_epi32(acc[r * 4 + q], _mm256_madd_epi16(u[r], w));
    }
  }

  int32_t sums[ROWS * 16];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * 4; i++)
      _mm_storeu_si128((__m128i *)(sums + i * 4), add_pairs(acc[i]));
  vlm_finish_i32__avx2(g, row, (size_t)rows, panel, c->tail(g, panel), sums, 16);
}

void vlm_gemm_u8_codes__avx2(
    const vlm_u8_codes *c, size_t panel, size_t panels, const int8_t *codes,
    size_t codes_stride) {
  const size_t rows = c->g->rows;
  for (size_t row = 0; row < rows; row += ROWS) {
    const size_t some = vlm_min_size(ROWS, rows - row);
    widen_rows(c->g, row, some);
    for (size_t p = 0; p < panels; p++) {
      const int8_t *at = codes + p * codes_stride;
      if (some == 3) {
        tile(c, panel + p, at, row, 3);
      } else if (some == 2) {
        tile(c, panel + p, at, row, 2);
      } else {
        tile(c, panel + p, at, row, 1);
      }
    }
  }
}

VLM_TARGET_END

#endif
