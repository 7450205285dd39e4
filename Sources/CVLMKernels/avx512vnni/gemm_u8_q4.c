// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//
//   few rows   acc = sum over blocks of step * dot(u, nibble) + offset * sum(u), from the nibbles
//   many rows  panels are expanded to int8 in scratch once, then the inner loop is q8's
//   exactness  bit-exact with scalar/gemm_u8_q4.c, but for the activation: all of it is int32
//   scratch    2 panels of int8; few rows: the sums of their blocks
#if defined(__x86_64__)

#include "q4_expand.h"
#include "u8_tiles.h"

enum { FEW_ROWS = 8 };

VLM_TARGET_AVX512VNNI_BEGIN

size_t vlm_gemm_scratch_bytes__avx512vnni(size_t inputs) {
  return 2 * vlm_q8_tail_offset(inputs);
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

/// `rows` rows of one panel, straight from the nibbles.
VLM_INLINE void from_nibbles(const vlm_gemm *g, size_t panel, const int rows) {
  const uint8_t *x = g->x, *codes = vlm_q4_panel(g, panel);
  const int32_t *block_sums = g->scratch;
  const size_t blocks = vlm_block_count(g->inputs);
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  const __m512i low4 = _mm512_set1_epi8(15);
  __m512i acc[FEW_ROWS];
  for (int r = 0; r < rows; r++) acc[r] = _mm512_setzero_si512();

  vlm_prefetch_tail(vlm_q4_tail(g, panel));
  for (size_t b = 0; b < blocks; b++) {
    // Two chains a row, so that one's latency hides behind the other.
    __m512i even[FEW_ROWS], odd[FEW_ROWS];
    for (int r = 0; r < rows; r++) even[r] = odd[r] = _mm512_setzero_si512();
    vlm_prefetch_q4(g, codes, b);
    _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 4; i++) {
      const __m512i bytes = _mm512_loadu_si512(codes + b * 256 + i * 64);
      const __m512i low = _mm512_and_si512(bytes, low4);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low4);
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
        int32_t eight[2]; // inputs 32 b + 8 i ..< 32 b + 8 i + 8
        memcpy(eight, x + (size_t)r * g->x_stride + b * 32 + i * 8, 8);
        even[r] = _mm512_dpbusd_epi32(even[r], _mm512_set1_epi32(eight[0]), low);
        odd[r] = _mm512_dpbusd_epi32(odd[r], _mm512_set1_epi32(eight[1]), high);
      }
    }
    const __m512i step = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)groups[b].step));
    const __m512i offset =
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)groups[b].offset));
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
      // The upper word of the sum is 0: it fits 13 bits, so a 16-bit multiply will do.
      const __m512i sum = _mm512_set1_epi32(block_sums[(size_t)r * blocks + b]);
      const __m512i dot = _mm512_mullo_epi32(step, _mm512_add_epi32(even[r], odd[r]));
      acc[r] = _mm512_add_epi32(
          acc[r], _mm512_add_epi32(dot, _mm512_madd_epi16(sum, offset)));
    }
  }

  int32_t tile[FEW_ROWS * 16] __attribute__((aligned(64)));
  for (int r = 0; r < rows; r++) _mm512_store_si512(tile + r * 16, acc[r]);
  vlm_finish_i32__avx512vnni(g, 0, (size_t)rows, panel, vlm_q4_tail(g, panel), tile, 16);
}

static void few_rows(const vlm_gemm *g, size_t panel) {
  switch (g->rows) {
  case 1: from_nibbles(g, panel, 1); return;
  case 2: from_nibbles(g, panel, 2); return;
  case 3: from_nibbles(g, panel, 3); return;
  case 4: from_nibbles(g, panel, 4); return;
  case 5: from_nibbles(g, panel, 5); return;
  case 6: from_nibbles(g, panel, 6); return;
  case 7: from_nibbles(g, panel, 7); return;
  case 8: from_nibbles(g, panel, 8); return;
  }
}

void vlm_gemm_u8_q4__avx512vnni(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g), expanded = vlm_q8_tail_offset(g->inputs);
  if (g->rows <= FEW_ROWS) {
    sum_blocks(g, g->scratch);
    for (size_t panel = g->panel_begin; panel < end; panel++) few_rows(g, panel);
    return;
  }
  for (size_t panel = g->panel_begin; panel < end; panel += 2) {
    const bool pair = end - panel >= 2;
    int8_t *codes = g->scratch;
    vlm_q4_expand__avx512vnni(g, panel, codes);
    if (pair) vlm_q4_expand__avx512vnni(g, panel + 1, codes + expanded);
    const vlm_u8_panels p = {
        .g = g,
        .panel = panel,
        .codes = codes,
        .codes_stride = expanded,
        .tails = (const uint8_t *)vlm_q4_tail(g, panel),
        .tails_stride = vlm_q4_panel_bytes(g->inputs),
        .next = vlm_q4_panel(g, panel + 2),
        .next_stride = vlm_q4_panel_bytes(g->inputs),
        .next_step = 32,
    };
    if (pair) {
      vlm_u8_all_rows(&p, 2);
    } else {
      vlm_u8_all_rows(&p, 1);
    }
  }
}

VLM_TARGET_END

#endif
