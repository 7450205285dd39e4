// The inner loops of both u8 x s8 products: a tile of rows x 16-output panels of int8 codes.
//
//   acc[r][p][n] = sum over k of x[row + r][k] * code[panel + p][n][k]
//
//   registers  6 rows x 1 panel: 12 sums, 2 registers of codes, 1 broadcast of 4 activations. Few
//              rows take more panels instead, so that enough sums are in flight to hide
//              vpdpbusd's latency
//   reads      x up to the last block's 32 inputs, which x_stride covers
//   fetching   the first 6 rows ask for the next panel, from memory into L2: the processor's own
//              prefetching starts anew at every panel, and few rows have no time to wait for it
//   exactness  vpdpbusd adds four u8 x s8 products to an int32 without saturating: exact
#ifndef VLM_AVXVNNI_U8_TILES_H
#define VLM_AVXVNNI_U8_TILES_H

#include "../x86_targets.h"
#include "avxvnni.h"

/// Neighbouring panels, their codes in the q8 order.
typedef struct vlm_u8_panels {
  const vlm_gemm *g;
  size_t panel;
  const int8_t *codes;
  size_t codes_stride; // bytes from panel to panel
  const uint8_t *tails;
  size_t tails_stride; // bytes from panel to panel
  const uint8_t *next; // the matrix after this panel, wherever that is
  size_t next_step;    // bytes of 4 inputs: 64 of q8, 32 of q4
} vlm_u8_panels;

enum { VLM_AVXVNNI_SUMS = 12 };

VLM_TARGET_AVXVNNI_BEGIN

/// The same 4 bytes in every lane.
VLM_INLINE __m256i vlm_broadcast4__avxvnni(const void *p) {
  int32_t four;
  memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

/// `ahead`: ask for the next panel.
VLM_INLINE void vlm_u8_tile(
    const vlm_u8_panels *p, size_t row, const int rows, const int panels, const bool ahead) {
  const vlm_gemm *g = p->g;
  const uint8_t *x = (const uint8_t *)g->x + row * g->x_stride;
  const size_t steps = vlm_block_count(g->inputs) * 8;

  __m256i acc[VLM_AVXVNNI_SUMS];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels * 2; i++)
      acc[i] = _mm256_setzero_si256();

  vlm_prefetch_outputs(g, row, rows, p->panel, panels);
  for (size_t step = 0; step < steps; step++) {
    if (ahead) __builtin_prefetch(p->next + step * p->next_step, 0, 2);
    _Pragma("clang loop unroll(full)") for (int j = 0; j < panels; j++) {
      const __m256i *codes =
          (const __m256i *)(p->codes + (size_t)j * p->codes_stride + step * 64);
      const __m256i w0 = _mm256_loadu_si256(codes), w1 = _mm256_loadu_si256(codes + 1);
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {
        const __m256i u = vlm_broadcast4__avxvnni(x + (size_t)r * g->x_stride + step * 4);
        __m256i *sums = acc + (r * panels + j) * 2;
        sums[0] = _mm256_dpbusd_avx_epi32(sums[0], u, w0);
        sums[1] = _mm256_dpbusd_avx_epi32(sums[1], u, w1);
      }
    }
  }

  int32_t tile[VLM_AVXVNNI_SUMS * 8] __attribute__((aligned(32)));
  _Pragma("clang loop unroll(full)") for (int i = 0; i < rows * panels * 2; i++)
      _mm256_store_si256((__m256i *)(tile + i * 8), acc[i]);
  for (int j = 0; j < panels; j++)
    vlm_finish_i32__avx2(
        g, row, (size_t)rows, p->panel + (size_t)j,
        (const vlm_panel_tail *)(p->tails + (size_t)j * p->tails_stride), tile + j * 16,
        (size_t)panels * 16);
}

/// All rows of one panel.
VLM_INLINE void vlm_u8_all_rows(const vlm_u8_panels *p) {
  const size_t rows = p->g->rows;
  size_t r = 0;
  if (rows >= 6) vlm_u8_tile(p, 0, 6, 1, true), r = 6;
  for (; r + 6 <= rows; r += 6) vlm_u8_tile(p, r, 6, 1, false);
  switch (rows - r) {
  case 1: vlm_u8_tile(p, r, 1, 1, false); return;
  case 2: vlm_u8_tile(p, r, 2, 1, false); return;
  case 3: vlm_u8_tile(p, r, 3, 1, false); return;
  case 4: vlm_u8_tile(p, r, 4, 1, false); return;
  case 5: vlm_u8_tile(p, r, 5, 1, false); return;
  }
}

VLM_TARGET_END

#endif
