// What the products of u8 activations share: gemm_u8_q8.c, gemm_u8_q8_few.c, gemm_u8_q4.c.
#ifndef VLM_AVX2_U8_H
#define VLM_AVX2_U8_H

#include "../x86_targets.h"
#include "avx2.h"

/// Up to as many rows, multiplying q8 codes as they are takes less time than widening them.
enum { VLM_AVX2_Q8_FEW_ROWS = 12 };

/// At most that many rows; and scratch for it and for q4.
void vlm_gemm_u8_q8_few__avx2(const vlm_gemm *g);
size_t vlm_q8_few_bytes__avx2(size_t inputs);
size_t vlm_q4_bytes__avx2(size_t inputs);

VLM_TARGET_AVX2_BEGIN

/// The same 4 bytes in every lane.
VLM_INLINE __m256i vlm_broadcast4__avx2(const void *p) {
  int32_t four;
  memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

VLM_TARGET_END

#endif
