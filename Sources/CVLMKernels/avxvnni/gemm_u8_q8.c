// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      panels of q8
//
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
//   scratch    none
#if defined(__x86_64__)

#include "u8_tiles.h"

VLM_TARGET_AVXVNNI_BEGIN

/// Panels at a time that fill the sums with few rows.
static size_t panels_for(size_t rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

void vlm_gemm_u8_q8__avxvnni(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g), bytes = vlm_q8_panel_bytes(g->inputs);
  const size_t some = panels_for(g->rows);
  for (size_t panel = g->panel_begin; panel < end;) {
    const vlm_u8_panels p = {
        .g = g,
        .panel = panel,
        .codes = (const int8_t *)vlm_q8_panel(g, panel),
        .codes_stride = bytes,
        .tails = (const uint8_t *)vlm_q8_tail(g, panel),
        .tails_stride = bytes,
        .next = vlm_q8_panel(g, panel + 1),
        .next_step = 64,
    };
    if (some == 1 || end - panel < some) {
      vlm_u8_all_rows(&p);
      panel++;
      continue;
    }
    switch (g->rows) {
    case 1: vlm_u8_tile(&p, 0, 1, 4, false); break;
    case 2: vlm_u8_tile(&p, 0, 2, 2, false); break;
    case 3: vlm_u8_tile(&p, 0, 3, 2, false); break;
    }
    panel += some;
  }
}

VLM_TARGET_END

#endif
