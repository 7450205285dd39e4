// What the u8 x s8 products of the three NEON tiers share: the walk over panels of int8 codes.
#ifndef VLM_NEON_U8_PANELS_H
#define VLM_NEON_U8_PANELS_H

#include "../internal.h"

/// All rows of one panel, whose int8 codes are in the q8 order and 0 past K.
typedef void (*vlm_u8_panel)(
    const vlm_gemm *g, size_t panel, const int8_t *codes, const vlm_panel_tail *tail);

/// Each q8 panel as it lies.
void vlm_each_q8_panel__neon(const vlm_gemm *g, vlm_u8_panel f);
/// Each q4 panel, expanded to int8 in scratch once for all rows.
void vlm_each_q4_panel__neon(const vlm_gemm *g, vlm_u8_panel f);

#endif
