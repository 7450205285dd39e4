// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      panels of q8
//
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
//   scratch    none
#if defined(__x86_64__)

#include "u8_tiles.h"

VLM_TARGET_AVX512VNNI_BEGIN

void vlm_gemm_u8_q8__avx512vnni(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g), bytes = vlm_q8_panel_bytes(g->inputs);
  const bool few = g->rows <= VLM_U8_FEW_ROWS;
  for (size_t panel = g->panel_begin; panel < end;) {
    const vlm_u8_panels p = {
        .g = g,
        .panel = panel,
        .codes = (const int8_t *)vlm_q8_panel(g, panel),
        .codes_stride = bytes,
        .tails = (const uint8_t *)vlm_q8_tail(g, panel),
        .tails_stride = bytes,
        .next = vlm_q8_panel(g, panel + 2),
        .next_stride = bytes,
        .next_step = 64,
    };
    if (few && end - panel >= 4) {
      vlm_u8_few_rows(&p);
      panel += 4;
    } else if (end - panel >= 2) {
      vlm_u8_all_rows(&p, 2);
      panel += 2;
    } else {
      vlm_u8_all_rows(&p, 1);
      panel += 1;
    }
  }
}

VLM_TARGET_END

#endif
