// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] )      W in bf16 panels
//
//   x          32 rows at a time are rounded to bf16, ties to even, in scratch
//   reads      x[r][k] for k < K only
//   exactness  rounding x costs 2^-8 of each product at most, and tiles take denormal numbers as 0:
//              |sum - exact| <= (2^-8 + (K + 2) * 2^-23) * sum of |x * W|, and
//              K * 2^-120 * max(|x|, |W|) besides.
//              A row's result does not depend on the rows beside it: 1 row takes the same path
//   scratch    32 rows of bf16
#if defined(__x86_64__)

#include "../avx512vnni/avx512vnni.h"
#include "amx.h"
#include "tiles.h"

VLM_TARGET_AMX_BEGIN

size_t vlm_gemm_scratch_bytes__amx(size_t inputs) {
  const size_t u8 = 2 * vlm_amx_codes_bytes(inputs);
  const size_t bf16 = VLM_AMX_ROWS * vlm_block_count(inputs) * VLM_BLOCK_INPUTS * 2;
  return u8 > bf16 ? u8 : bf16;
}

/// 16 floats to bf16, ties to even; NaN stays NaN.
VLM_INLINE __m256i to_bf16(__m512 v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), odd);
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0)));
}

/// Rows of x as bf16 [rows][B * 32], zeros past K.
static void round_rows(const vlm_gemm *g, size_t row, size_t rows, uint16_t *to) {
  const size_t inputs = vlm_block_count(g->inputs) * VLM_BLOCK_INPUTS;
  for (size_t r = 0; r < rows; r++) {
    const float *x = (const float *)g->x + (row + r) * g->x_stride;
    for (size_t k = 0; k < inputs; k += 16) {
      const size_t n = k < g->inputs ? vlm_min_size(16, g->inputs - k) : 0;
      const __m512 v = _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x + (n ? k : 0));
      _mm256_storeu_si256((__m256i *)(to + r * inputs + k), to_bf16(v));
    }
  }
}

VLM_INLINE void block(
    const vlm_gemm *g, size_t panel, size_t row, size_t rows, bool two_groups, bool two_panels) {
  const size_t blocks = vlm_block_count(g->inputs), x_bytes = blocks * 64;
  const uint8_t *x = g->scratch;
  const uint8_t *w0 = (const uint8_t *)vlm_half_panel(g, panel);
  const uint8_t *w1 = w0 + vlm_half_panel_bytes(g->inputs);
  vlm_tile_zero(VLM_TILE_C00);
  if (two_panels) vlm_tile_zero(VLM_TILE_C01);
  if (two_groups) vlm_tile_zero(VLM_TILE_C10);
  if (two_groups && two_panels) vlm_tile_zero(VLM_TILE_C11);

  for (size_t b = 0; b < blocks; b++) {
    vlm_tile_load(VLM_TILE_B0, w0 + b * 1024, 64);
    vlm_tile_load(VLM_TILE_A0, x + b * 64, x_bytes);
    vlm_tile_dpbf16ps(VLM_TILE_C00, VLM_TILE_A0, VLM_TILE_B0);
    if (two_panels) {
      vlm_tile_load(VLM_TILE_B1, w1 + b * 1024, 64);
      vlm_tile_dpbf16ps(VLM_TILE_C01, VLM_TILE_A0, VLM_TILE_B1);
    }
    if (two_groups) {
      vlm_tile_load(VLM_TILE_A1, x + 16 * x_bytes + b * 64, x_bytes);
      vlm_tile_dpbf16ps(VLM_TILE_C10, VLM_TILE_A1, VLM_TILE_B0);
      if (two_panels) vlm_tile_dpbf16ps(VLM_TILE_C11, VLM_TILE_A1, VLM_TILE_B1);
    }
  }

  float sums[VLM_AMX_ROWS][2][16] __attribute__((aligned(64)));
  const size_t stride = sizeof sums[0];
  vlm_tile_store(VLM_TILE_C00, sums[0][0], stride);
  if (two_panels) vlm_tile_store(VLM_TILE_C01, sums[0][1], stride);
  if (two_groups) vlm_tile_store(VLM_TILE_C10, sums[16][0], stride);
  if (two_groups && two_panels) vlm_tile_store(VLM_TILE_C11, sums[16][1], stride);
  vlm_finish_f32__avx512vnni(g, row, rows, panel, sums[0][0], 32);
  if (two_panels) vlm_finish_f32__avx512vnni(g, row, rows, panel + 1, sums[0][1], 32);
}

void vlm_gemm_f32_bf16__amx(const vlm_gemm *g) {
  const size_t end = vlm_panel_limit(g);
  for (size_t r = 0; r < g->rows; r += VLM_AMX_ROWS) {
    const size_t rows = vlm_min_size(VLM_AMX_ROWS, g->rows - r), first = vlm_min_size(16, rows);
    const vlm_tile_config config = vlm_tile_config_for(first, rows - first);
    vlm_tile_configure(&config);
    round_rows(g, r, rows, g->scratch);
    size_t panel = g->panel_begin;
    for (; panel + 2 <= end; panel += 2) {
      if (rows > 16) {
        block(g, panel, r, rows, true, true);
      } else {
        block(g, panel, r, rows, false, true);
      }
    }
    if (panel < end) {
      if (rows > 16) {
        block(g, panel, r, rows, true, false);
      } else {
        block(g, panel, r, rows, false, false);
      }
    }
  }
  vlm_tile_release();
}

VLM_TARGET_END

#endif
