// The product of u8 activations with panels of int8 codes, shared by gemm_u8_q8.c and gemm_u8_q4.c.
#ifndef VLM_AVX2_U8_CODES_H
#define VLM_AVX2_U8_CODES_H

#include "../internal.h"

/// Panels computed before the next rows are widened: their codes should stay in the cache.
enum { VLM_AVX2_PANELS = 4 };

typedef struct vlm_u8_codes {
  const vlm_gemm *g;
  const vlm_panel_tail *(*tail)(const vlm_gemm *, size_t panel);
} vlm_u8_codes;

/// All rows of some neighbouring panels whose codes lie codes_stride bytes apart.
void vlm_gemm_u8_codes__avx2(
    const vlm_u8_codes *c, size_t panel, size_t panels, const int8_t *codes, size_t codes_stride);

/// The part of scratch for VLM_AVX2_PANELS expanded q4 panels.
int8_t *vlm_expanded_codes__avx2(const vlm_gemm *g);

#endif
