// The inner loops of both u8 x s8 products: a tile of rows x 16-output panels of int8 codes.
//
//   acc[r][p][n] = sum over k of x[row + r][k] * code[panel + p][n][k]
//
//   registers  12 rows x 2 panels: 24 sums, 2 rows of codes, 1 broadcast of 4 activations. Few rows
//              take 4 panels instead, so that enough sums are in flight to hide vpdpbusd's latency
//   reads      x up to the last block's 32 inputs, which x_stride covers
//   fetching   the first 12 rows ask for the next panels, from memory into L2: the processor's own
//              prefetching starts anew at every panel, and few rows have no time to wait for it
//   exactness  vpdpbusd adds four u8 x s8 products to an int32 without saturating: exact
#ifndef VLM_AVX512VNNI_U8_TILES_H
#define VLM_AVX512VNNI_U8_TILES_H

#include "../x86_targets.h"
#include "avx512vnni.h"

/// Neighbouring panels, their codes in the q8 order.
typedef struct vlm_u8_panels {
  const vlm_gemm *g;
  size_t panel;
  const int8_t *codes;
  size_t codes_stride; // bytes from panel to panel
  const uint8_t *tails;
  size_t tails_stride; // bytes from panel to panel
  const uint8_t *next; // the matrix after these panels, wherever that is
  size_t next_stride;  // bytes from panel to panel
  size_t next_step;    // bytes of 4 inputs: 64 of q8, 32 of q4
} vlm_u8_panels;

enum { VLM_U8_TILE_SUMS = 24, VLM_U8_FEW_ROWS = 4 };

VLM_TARGET_AVX512VNNI_BEGIN

/// `ahead`: ask for the next panels.
VLM_INLINE void vlm_u8_tile(
    const vlm_u8_panels *p, size_t row, const int rows, const int panels, const bool ahead) {
  const vlm_gemm *g = p->g;
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  const size_t steps = vlm_block_count(g->inputs) * 8;

  __m512i acc[VLM_U8_TILE_SUMS];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels; i++)
      acc[i] = _mm512_setzero_si512();

  vlm_prefetch_outputs(g, row, rows, p->panel, panels);
  for (size_t step = 0; step < steps; step++) {
    __m512i codes[4];
    if (ahead)
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) __builtin_prefetch(
          p->next + (size_t)j * p->next_stride + step * p->next_step, 0, 2);
    _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
        codes[j] = _mm512_loadu_si512(p->codes + (size_t)j * p->codes_stride + step * 64);
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
      int32_t four; // inputs 4 * step ..< 4 * step + 4 of the row
      memcpy(&four, x + (size_t)r * g->x_stride + step * 4, 4);
      const __m512i u = _mm512_set1_epi32(four);
      _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++)
          acc[r * panels + j] = _mm512_dpbusd_epi32(acc[r * panels + j], u, codes[j]);
    }
  }

  int32_t tile[VLM_U8_TILE_SUMS * 16] __attribute__((aligned(64)));
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels; i++)
      _mm512_store_si512(tile + i * 16, acc[i]);
  for (int j = 0; j < panels; j++)
    vlm_finish_i32__avx512vnni(
        g, row, (size_t)rows, p->panel + (size_t)j,
        (const vlm_panel_tail *)(p->tails + (size_t)j * p->tails_stride), tile + j * 16,
        (size_t)panels * 16);
}

/// All rows of 4 panels: for at most 4 rows.
VLM_INLINE void vlm_u8_few_rows(const vlm_u8_panels *p) {
  switch (p->g->rows) {
  case 1: vlm_u8_tile(p, 0, 1, 4, false); return;
  case 2: vlm_u8_tile(p, 0, 2, 4, false); return;
  case 3: vlm_u8_tile(p, 0, 3, 4, false); return;
  case 4: vlm_u8_tile(p, 0, 4, 4, false); return;
  }
}

/// All rows of 1 or 2 panels.
VLM_INLINE void vlm_u8_all_rows(const vlm_u8_panels *p, const int panels) {
  const size_t rows = p->g->rows;
  size_t r = 0;
  if (rows >= 12) vlm_u8_tile(p, 0, 12, panels, true), r = 12;
  for (; r + 12 <= rows; r += 12) vlm_u8_tile(p, r, 12, panels, false);
  if (r + 8 <= rows) vlm_u8_tile(p, r, 8, panels, false), r += 8;
  if (r + 4 <= rows) vlm_u8_tile(p, r, 4, panels, false), r += 4;
  if (r + 2 <= rows) vlm_u8_tile(p, r, 2, panels, false), r += 2;
  if (r < rows) vlm_u8_tile(p, r, 1, panels, false);
}

VLM_TARGET_END

#endif
