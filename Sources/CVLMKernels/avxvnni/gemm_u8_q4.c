// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//
//   few rows   acc = sum over blocks of step * dot(u, nibble) + offset * sum(u), from the nibbles
//   many rows  a panel is expanded to int8 in scratch once, then the inner loop is q8's
//   exactness  bit-exact with scalar/gemm_u8_q4.c, but for the activation: all of it is int32
//   scratch    a panel of int8; few rows: the sums of their blocks
#if defined(__x86_64__)

#include "u8_tiles.h"

enum { FEW_ROWS = 4, SUMS = 4 };

VLM_TARGET_AVXVNNI_BEGIN

size_t vlm_gemm_scratch_bytes__avxvnni(size_t inputs) { return vlm_q8_tail_offset(inputs); }

/// Eight bytes, each to the four bytes of its 32-bit lane times `pattern`.
VLM_INLINE __m256i spread(const void *bytes, int pattern) {
  return _mm256_mullo_epi32(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes)), _mm256_set1_epi32(pattern));
}

VLM_INLINE __m256i low_nibbles(__m256i bytes) {
  return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}

/// A panel in the q8 order. The two bytes of a 16-bit word belong to one output and step * nibble
/// <= 254 fits a byte, so one 16-bit multiply makes both products.
static void expand(const vlm_gemm *g, size_t panel, int8_t *codes) {
  const uint8_t *packed = vlm_q4_panel(g, panel);
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  for (size_t b = 0; b < vlm_block_count(g->inputs); b++) {
    for (size_t half = 0; half < 2; half++) { // outputs 8 half ..< 8 half + 8
      const __m256i step = spread(groups[b].step + half * 8, 0x00010001);
      const __m256i offset = spread(groups[b].offset + half * 8, 0x01010101);
      for (size_t i = 0; i < 4; i++) {
        const __m256i bytes =
            _mm256_loadu_si256((const __m256i *)(packed + b * 256 + i * 64 + half * 32));
        const __m256i w0 = _mm256_mullo_epi16(low_nibbles(bytes), step);
        const __m256i w1 = _mm256_mullo_epi16(low_nibbles(_mm256_srli_epi16(bytes, 4)), step);
        __m256i *to = (__m256i *)(codes + b * 512 + i * 128 + half * 32);
        _mm256_storeu_si256(to, _mm256_add_epi8(w0, offset));
        _mm256_storeu_si256(to + 2, _mm256_add_epi8(w1, offset));
      }
    }
  }
}

/// Sums of the activations of every block: sums[r * blocks + b].
static void sum_blocks(const vlm_gemm *g, int32_t *sums) {
  const size_t blocks = vlm_block_count(g->inputs);
  for (size_t r = 0; r < g->rows; r++) {
    const uint8_t *x = (const uint8_t *)g->x + r * g->x_stride;
    for (size_t b = 0; b < blocks; b++) {
      const __m256i quarters = _mm256_sad_epu8(
          _mm256_loadu_si256((const __m256i *)(x + b * 32)), _mm256_setzero_si256());
      const __m128i halves = _mm_add_epi64(
          _mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));
      sums[r * blocks + b] = _mm_extract_epi32(halves, 0) + _mm_extract_epi32(halves, 2);
    }
  }
}

/// `halves` times 8 outputs of all `rows` rows; `half` is the first of them in its panel.
VLM_INLINE void from_nibbles(
    const vlm_gemm *g, const int32_t *block_sums, size_t panel, size_t half, int32_t *sums,
    const int rows, const int halves) {
  const size_t blocks = vlm_block_count(g->inputs);
  const uint8_t *x = g->x, *packed = vlm_q4_panel(g, panel) + half * 32;
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  __m256i acc[SUMS];
  for (int i = 0; i < rows * halves; i++) acc[i] = _mm256_setzero_si256();
  for (size_t b = 0; b < blocks; b++) {
    if (half == 0) vlm_prefetch_q4(g, packed, b);
    // Two chains a sum, so that one's latency hides behind the other.
    __m256i low[SUMS], high[SUMS];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * halves; i++) low[i] = high[i] =
        _mm256_setzero_si256();
    _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 4; i++) {
      _Pragma("clang loop unroll(full)") for (int h = 0; h < halves; h++) {
        const __m256i bytes =
            _mm256_loadu_si256((const __m256i *)(packed + b * 256 + i * 64 + h * 32));
        const __m256i w0 = low_nibbles(bytes), w1 = low_nibbles(_mm256_srli_epi16(bytes, 4));
        _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
          const uint8_t *at = x + (size_t)r * g->x_stride + b * 32 + i * 8;
          const int j = r * halves + h;
          low[j] = _mm256_dpbusd_avx_epi32(low[j], vlm_broadcast4__avxvnni(at), w0);
          high[j] = _mm256_dpbusd_avx_epi32(high[j], vlm_broadcast4__avxvnni(at + 4), w1);
        }
      }
    }
    _Pragma("clang loop unroll(full)") for (int h = 0; h < halves; h++) {
      const size_t first = (half + (size_t)h) * 8;
      const __m256i step =
          _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(groups[b].step + first)));
      const __m256i offset =
          _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(groups[b].offset + first)));
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
        // The upper word of the sum is 0: it fits 13 bits, so a 16-bit multiply will do.
        const __m256i sum = _mm256_set1_epi32(block_sums[(size_t)r * blocks + b]);
        const int j = r * halves + h;
        const __m256i dot = _mm256_mullo_epi32(step, _mm256_add_epi32(low[j], high[j]));
        acc[j] = _mm256_add_epi32(
            acc[j], _mm256_add_epi32(dot, _mm256_madd_epi16(sum, offset)));
      }
    }
  }
  for (int i = 0; i < rows * halves; i++)
    _mm256_storeu_si256((__m256i *)(sums + i / halves * 16 + i % halves * 8), acc[i]);
}

VLM_INLINE void few_rows(const vlm_gemm *g, size_t panel, const int rows) {
  int32_t sums[FEW_ROWS * 16];
  if (rows <= 2) {
    from_nibbles(g, g->scratch, panel, 0, sums, rows, 2);
  } else {
    from_nibbles(g, g->scratch, panel, 0, sums, rows, 1);
    from_nibbles(g, g->scratch, panel, 1, sums + 8, rows, 1);
  }
  vlm_finish_i32__avx2(g, 0, (size_t)rows, panel, vlm_q4_tail(g, panel), sums, 16);
}

void vlm_gemm_u8_q4__avxvnni(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g);
  if (g->rows <= FEW_ROWS) {
    sum_blocks(g, g->scratch);
    for (size_t panel = g->panel_begin; panel < end; panel++) {
      switch (g->rows) {
      case 1: few_rows(g, panel, 1); break;
      case 2: few_rows(g, panel, 2); break;
      case 3: few_rows(g, panel, 3); break;
      case 4: few_rows(g, panel, 4); break;
      }
    }
    return;
  }
  for (size_t panel = g->panel_begin; panel < end; panel++) {
    expand(g, panel, g->scratch);
    const vlm_u8_panels p = {
        .g = g,
        .panel = panel,
        .codes = g->scratch,
        .tails = (const uint8_t *)vlm_q4_tail(g, panel),
        .next = vlm_q4_panel(g, panel + 1),
        .next_step = 32,
    };
    vlm_u8_all_rows(&p);
  }
}

VLM_TARGET_END

#endif
