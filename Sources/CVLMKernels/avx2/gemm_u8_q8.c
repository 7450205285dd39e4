// Contract and inner loop: gemm_u8_codes.c.
#if defined(__x86_64__)

#include "avx2.h"
#include "u8_codes.h"

static const vlm_panel_tail *tail(const vlm_gemm *g, size_t panel) {
  return vlm_q8_tail(g, panel);
}

void vlm_gemm_u8_q8__avx2(const vlm_gemm *g) {
  const vlm_u8_codes c = {g, tail};
  const size_t end = vlm_panel_limit(g);
  for (size_t panel = g->panel_begin; panel < end; panel += VLM_AVX2_PANELS)
    vlm_gemm_u8_codes__avx2(
        &c, panel, vlm_min_size(VLM_AVX2_PANELS, end - panel),
        (const int8_t *)vlm_q8_panel(g, panel), vlm_q8_panel_bytes(g->inputs));
}

#endif
