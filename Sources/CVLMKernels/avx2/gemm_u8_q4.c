// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//
//   A few panels at a time are expanded to int8 in scratch; the rest is gemm_u8_codes.c.
//   exactness  bit-exact with scalar/gemm_u8_q4.c, but for the activation
#if defined(__x86_64__)

#include "../x86_targets.h"
#include "avx2.h"
#include "u8_codes.h"

VLM_TARGET_AVX2_BEGIN

/// Eight bytes, each to the four bytes of its 32-bit lane times `pattern`.
VLM_INLINE __m256i spread(const void *bytes, int pattern) {
  return _mm256_mullo_epi32(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes)), _mm256_set1_epi32(pattern));
}

/// The two bytes of a 16-bit word belong to one output and step * nibble <= 254 fits a byte, so one
/// 16-bit multiply makes both products.
static void expand(const vlm_gemm *g, size_t panel, int8_t *codes) {
  const uint8_t *packed = vlm_q4_panel(g, panel);
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  const __m256i low4 = _mm256_set1_epi8(15);
  for (size_t b = 0; b < vlm_block_count(g->inputs); b++) {
    for (size_t half = 0; half < 2; half++) { // outputs 8 half ..< 8 half + 8
      const __m256i step = spread(groups[b].step + half * 8, 0x00010001);
      const __m256i offset = spread(groups[b].offset + half * 8, 0x01010101);
      for (size_t i = 0; i < 4; i++) {
        const uint8_t *from = packed + b * 256 + i * 64 + half * 32;
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)from);
        const __m256i low = _mm256_and_si256(bytes, low4);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low4);
        int8_t *to = codes + b * 512 + i * 128 + half * 32;
        _mm256_storeu_si256(
            (__m256i *)to, _mm256_add_epi8(_mm256_mullo_epi16(low, step), offset));
        _mm256_storeu_si256(
            (__m256i *)(to + 64), _mm256_add_epi8(_mm256_mullo_epi16(high, step), offset));
      }
    }
  }
}

static const vlm_panel_tail *tail(const vlm_gemm *g, size_t panel) {
  return vlm_q4_tail(g, panel);
}

void vlm_gemm_u8_q4__avx2(const vlm_gemm *g) {
  const vlm_u8_codes c = {g, tail};
  const size_t end = vlm_panel_limit(g), stride = vlm_q8_tail_offset(g->inputs);
  int8_t *codes = vlm_expanded_codes__avx2(g);
  for (size_t panel = g->panel_begin; panel < end; panel += VLM_AVX2_PANELS) {
    const size_t panels = vlm_min_size(VLM_AVX2_PANELS, end - panel);
    for (size_t p = 0; p < panels; p++) expand(g, panel + p, codes + p * stride);
    vlm_gemm_u8_codes__avx2(&c, panel, panels, codes, stride);
  }
}

VLM_TARGET_END

#endif
