// acc = sum over k of x[r][k] * w8[n][k],   w8 = step * nibble + offset of k's block of 32 inputs
//
//   few rows   the avx512vnni kernel: expanding a panel would cost more than multiplying by it
//   many rows  2 panels are expanded to int8 in scratch once, then the tiles of q8
//   exactness  bit-exact with scalar/gemm_u8_q4.c, but for the activation
//   scratch    2 panels of int8, inputs rounded up to whole tiles
#if defined(__x86_64__)

#include "../avx512vnni/q4_expand.h"
#include "u8_tiles.h"

enum { FEW_ROWS = 4 };

VLM_TARGET_AMX_BEGIN

void vlm_gemm_u8_q4__amx(const vlm_gemm *g) {
  if (g->rows <= FEW_ROWS) {
    vlm_gemm_u8_q4__avx512vnni(g);
    return;
  }
  const size_t end = vlm_panel_limit(g), bytes = vlm_amx_codes_bytes(g->inputs);
  const size_t expanded = vlm_q8_tail_offset(g->inputs);
  for (size_t panel = g->panel_begin; panel < end; panel += 2) {
    vlm_amx_panels p = {
        .g = g,
        .panel = panel,
        .panels = vlm_min_size(2, end - panel),
        .whole_tiles = bytes / 1024,
    };
    for (size_t j = 0; j < p.panels; j++) {
      int8_t *codes = (int8_t *)g->scratch + j * bytes;
      vlm_q4_expand__avx512vnni(g, panel + j, codes);
      memset(codes + expanded, 0, bytes - expanded);
      p.codes[j] = codes;
      p.tail[j] = vlm_q4_tail(g, panel + j);
    }
    vlm_amx_u8_all_rows(&p);
  }
  vlm_tile_release();
}

VLM_TARGET_END

#endif
