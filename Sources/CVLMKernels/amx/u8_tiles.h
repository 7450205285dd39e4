// The inner loop of both u8 x s8 products on tiles.
//
//   tiles      2 groups of 16 activation rows x 2 panels: 4 tiles loaded for 4 multiplications
//   codes      16 rows of 64 codes, inputs 64 at a time, straight from the panel; when K has an odd
//              number of blocks the last half tile stands apart, filled up with zeros
//   reads      x up to the next multiple of 64 inputs, which x_stride covers
//   exactness  exact in int32
#ifndef VLM_AMX_U8_TILES_H
#define VLM_AMX_U8_TILES_H

#include "../avx512vnni/avx512vnni.h"
#include "amx.h"
#include "tiles.h"

/// One or two neighbouring panels.
typedef struct vlm_amx_panels {
  const vlm_gemm *g;
  size_t panel, panels;
  size_t whole_tiles;            // tiles of 64 inputs at codes
  const int8_t *codes[2];
  const int8_t *rest[2];         // one more tile, or NULL
  const vlm_panel_tail *tail[2];
} vlm_amx_panels;

VLM_TARGET_AMX_BEGIN

/// One step of 64 inputs.
VLM_INLINE void vlm_amx_u8_step(
    const uint8_t *x, size_t x_stride, const int8_t *codes0, const int8_t *codes1, bool two_groups,
    bool two_panels) {
  vlm_tile_load(VLM_TILE_B0, codes0, 64);
  vlm_tile_load(VLM_TILE_A0, x, x_stride);
  vlm_tile_dpbusd(VLM_TILE_C00, VLM_TILE_A0, VLM_TILE_B0);
  if (two_panels) {
    vlm_tile_load(VLM_TILE_B1, codes1, 64);
    vlm_tile_dpbusd(VLM_TILE_C01, VLM_TILE_A0, VLM_TILE_B1);
  }
  if (two_groups) {
    vlm_tile_load(VLM_TILE_A1, x + 16 * x_stride, x_stride);
    vlm_tile_dpbusd(VLM_TILE_C10, VLM_TILE_A1, VLM_TILE_B0);
    if (two_panels) vlm_tile_dpbusd(VLM_TILE_C11, VLM_TILE_A1, VLM_TILE_B1);
  }
}

VLM_INLINE void vlm_amx_u8_block(
    const vlm_amx_panels *p, size_t row, size_t rows, bool two_groups, bool two_panels) {
  const vlm_gemm *g = p->g;
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  vlm_tile_zero(VLM_TILE_C00);
  if (two_panels) vlm_tile_zero(VLM_TILE_C01);
  if (two_groups) vlm_tile_zero(VLM_TILE_C10);
  if (two_groups && two_panels) vlm_tile_zero(VLM_TILE_C11);

  for (size_t t = 0; t < p->whole_tiles; t++)
    vlm_amx_u8_step(
        x + t * 64, g->x_stride, p->codes[0] + t * 1024,
        two_panels ? p->codes[1] + t * 1024 : NULL, two_groups, two_panels);
  if (p->rest[0])
    vlm_amx_u8_step(
        x + p->whole_tiles * 64, g->x_stride, p->rest[0], p->rest[1], two_groups, two_panels);

  int32_t sums[VLM_AMX_ROWS][2][16] __attribute__((aligned(64)));
  const size_t stride = sizeof sums[0];
  vlm_tile_store(VLM_TILE_C00, sums[0][0], stride);
  if (two_panels) vlm_tile_store(VLM_TILE_C01, sums[0][1], stride);
  if (two_groups) vlm_tile_store(VLM_TILE_C10, sums[16][0], stride);
  if (two_groups && two_panels) vlm_tile_store(VLM_TILE_C11, sums[16][1], stride);
  for (size_t j = 0; j < p->panels; j++)
    vlm_finish_i32__avx512vnni(g, row, rows, p->panel + j, p->tail[j], sums[0][j], 32);
}

/// All rows of the panels.
static inline void vlm_amx_u8_all_rows(const vlm_amx_panels *p) {
  const size_t rows = p->g->rows;
  size_t configured = 0;
  for (size_t r = 0; r < rows; r += VLM_AMX_ROWS) {
    const size_t some = vlm_min_size(VLM_AMX_ROWS, rows - r);
    if (some != configured) {
      const size_t first = vlm_min_size(16, some);
      const vlm_tile_config config = vlm_tile_config_for(first, some - first);
      vlm_tile_configure(&config);
      configured = some;
    }
    if (p->panels == 2) {
      if (some > 16) {
        vlm_amx_u8_block(p, r, some, true, true);
      } else {
        vlm_amx_u8_block(p, r, some, false, true);
      }
    } else if (some > 16) {
      vlm_amx_u8_block(p, r, some, true, false);
    } else {
      vlm_amx_u8_block(p, r, some, false, false);
    }
  }
}

VLM_TARGET_END

#endif
