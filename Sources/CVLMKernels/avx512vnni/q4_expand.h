// codes[k / 4][n][k % 4] = step * nibble + offset: a q4 panel in the order of a q8 panel.
//
//   multiply   there is no byte multiply, but the two bytes of a 16-bit word belong to the same
//              output and step * nibble <= 254 fits a byte: one 16-bit multiply makes both products
//   padding    inputs past K become the block's offset; activations there are 0
#ifndef VLM_AVX512VNNI_Q4_EXPAND_H
#define VLM_AVX512VNNI_Q4_EXPAND_H

#include "../x86_targets.h"
#include "avx512vnni.h"

VLM_TARGET_AVX512VNNI_BEGIN

/// Byte n of 16 to the four bytes of 32-bit lane n.
VLM_INLINE __m512i vlm_spread_bytes__avx512vnni(__m128i bytes) {
  return _mm512_mullo_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(0x01010101));
}

static inline void vlm_q4_expand__avx512vnni(const vlm_gemm *g, size_t panel, int8_t *codes) {
  const uint8_t *packed = vlm_q4_panel(g, panel);
  const vlm_q4_group *groups = vlm_q4_groups(g, panel);
  const __m512i low4 = _mm512_set1_epi8(15);
  for (size_t b = 0; b < vlm_block_count(g->inputs); b++) {
    const __m512i step = _mm512_mullo_epi32(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)groups[b].step)),
        _mm512_set1_epi32(0x00010001));
    const __m512i offset =
        vlm_spread_bytes__avx512vnni(_mm_loadu_si128((const __m128i *)groups[b].offset));
    for (size_t i = 0; i < 4; i++) {
      const __m512i bytes = _mm512_loadu_si512(packed + b * 256 + i * 64);
      const __m512i low = _mm512_and_si512(bytes, low4);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low4);
      int8_t *to = codes + b * 512 + i * 128;
      _mm512_storeu_si512(to, _mm512_add_epi8(_mm512_mullo_epi16(low, step), offset));
      _mm512_storeu_si512(to + 64, _mm512_add_epi8(_mm512_mullo_epi16(high, step), offset));
    }
  }
}

VLM_TARGET_END

#endif
