// The tile instructions as functions, so that a test on a machine without AMX can replace them by
// plain C: -DVLM_EMULATE_AMX, which only scripts/test-kernels-amx defines.
#ifndef VLM_AMX_TILES_H
#define VLM_AMX_TILES_H

/// The operand of ldtilecfg: rows and bytes per row of the 8 tiles.
typedef struct vlm_tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} vlm_tile_config;
_Static_assert(sizeof(vlm_tile_config) == 64, "one cache line");

// Tiles by use: sums of 2 row groups x 2 panels, activations of 2 row groups, codes of 2 panels.
// The instructions take the numbers as literals.
#define VLM_TILE_C00 0
#define VLM_TILE_C01 1
#define VLM_TILE_C10 2
#define VLM_TILE_C11 3
#define VLM_TILE_A0 4
#define VLM_TILE_A1 5
#define VLM_TILE_B0 6
#define VLM_TILE_B1 7

#if defined(VLM_EMULATE_AMX)
#include "tiles_emulated.h"
#else

VLM_INLINE void vlm_tile_configure(const vlm_tile_config *c) { _tile_loadconfig(c); }
VLM_INLINE void vlm_tile_release(void) { _tile_release(); }

#define vlm_tile_zero(t) _tile_zero(t)
#define vlm_tile_load(t, from, stride) _tile_loadd(t, from, stride)
#define vlm_tile_store(t, to, stride) _tile_stored(t, to, stride)
#define vlm_tile_dpbusd(c, a, b) _tile_dpbusd(c, a, b)
#define vlm_tile_dpbf16ps(c, a, b) _tile_dpbf16ps(c, a, b)

#endif

/// Rows of activations that one pass of tiles takes: two groups of 16.
enum { AMX_ROWS = 32 };

/// Bytes of one panel of int8 codes, inputs rounded up to whole tiles of 64.
VLM_INLINE size_t amx_codes_bytes(size_t inputs) { return (inputs + 63) / 64 * 1024; }

/// Two groups of activation rows, the second perhaps empty, against panels of 16 outputs.
VLM_INLINE vlm_tile_config vlm_tile_config_for(size_t rows0, size_t rows1) {
  vlm_tile_config c = {.palette = 1};
  const size_t rows[8] = {rows0, rows0, rows1, rows1, rows0, rows1, 16, 16};
  for (int t = 0; t < 8; t++) {
    c.rows[t] = (uint8_t)rows[t];
    c.row_bytes[t] = rows[t] ? 64 : 0; // an empty tile must be empty in both directions
  }
  return c;
}

#endif
