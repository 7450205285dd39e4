// y[r][n] = epilogue( scale[n] * (x_quant[r].scale * acc + x_quant[r].minimum * sum[n]) ),
// acc = sum over k of x[r][k] * code[n][k]      panels of q8
//
//   exactness  bit-exact with scalar/gemm_u8_q8.c, but for the activation
//   scratch    one tile of codes for each of 2 panels
#if defined(__x86_64__)

#include "u8_tiles.h"

VLM_TARGET_AMX_BEGIN

void vlm_gemm_u8_q8__amx(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g), blocks = vlm_block_count(g->inputs);
  for (size_t panel = g->panel_begin; panel < end; panel += 2) {
    vlm_amx_panels p = {
        .g = g, .panel = panel, .panels = vlm_min_size(2, end - panel), .whole_tiles = blocks / 2};
    for (size_t j = 0; j < p.panels; j++) {
      p.codes[j] = (const int8_t *)vlm_q8_panel(g, panel + j);
      p.tail[j] = vlm_q8_tail(g, panel + j);
      if (blocks % 2) {
        int8_t *rest = (int8_t *)g->scratch + j * 1024;
        memcpy(rest, p.codes[j] + p.whole_tiles * 1024, 512);
        memset(rest + 512, 0, 512);
        p.rest[j] = rest;
      }
    }
    vlm_amx_u8_all_rows(&p);
  }
  vlm_tile_release();
}

VLM_TARGET_END

#endif
