// Multiply-add loops of x86. Each keeps enough independent sums in registers to cover the latency
// of its instruction on every processor known: 12 with 128 to 512 bits, 4 AMX tiles.
#if defined(__x86_64__)

#include "loops.h"

#include <immintrin.h>

enum { SUMS = 12 };

// The empty assembly makes sums and operands unknown values in registers: nothing is folded, shared
// or dropped.
#define LOOP(type, zero, operand, step)                                                            \
  {                                                                                                \
    type sum[SUMS], a = operand, b = operand;                                                      \
    for (int i = 0; i < SUMS; i++) sum[i] = zero;                                                  \
    __asm__ volatile("" : "+v"(a), "+v"(b));                                                       \
    for (size_t round = 0; round < rounds; round++) {                                              \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < SUMS; i++) {                          \
        sum[i] = step;                                                                             \
        __asm__ volatile("" : "+v"(sum[i]), "+v"(a));                                              \
      }                                                                                            \
    }                                                                                              \
  }

__attribute__((target("sse4.1"))) static void int8_sse41(size_t rounds) {
  LOOP(__m128i, _mm_setzero_si128(), _mm_set1_epi16(1),
       _mm_add_epi32(sum[i], _mm_madd_epi16(a, b)))
}

__attribute__((target("avx2"))) static void int8_avx2(size_t rounds) {
  LOOP(__m256i, _mm256_setzero_si256(), _mm256_set1_epi16(1),
       _mm256_add_epi32(sum[i], _mm256_madd_epi16(a, b)))
}

__attribute__((target("avx2,avxvnni"))) static void int8_avxvnni(size_t rounds) {
  LOOP(__m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
       _mm256_dpbusd_avx_epi32(sum[i], a, b))
}

__attribute__((target("avx512f,avx512vnni"))) static void int8_avx512(size_t rounds) {
  LOOP(__m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_dpbusd_epi32(sum[i], a, b))
}

__attribute__((target("avx512f,avx512bf16"))) static void bf16_avx512(size_t rounds) {
  LOOP(__m512, _mm512_setzero_ps(), _mm512_setzero_ps(),
       _mm512_dpbf16_ps(sum[i], (__m512bh)a, (__m512bh)b))
}

__attribute__((target("sse4.1"))) static void f32_sse41(size_t rounds) {
  LOOP(__m128, _mm_setzero_ps(), _mm_set1_ps(1), _mm_add_ps(sum[i], _mm_mul_ps(a, b)))
}

__attribute__((target("avx2,fma"))) static void f32_avx2(size_t rounds) {
  LOOP(__m256, _mm256_setzero_ps(), _mm256_set1_ps(1), _mm256_fmadd_ps(a, b, sum[i]))
}

__attribute__((target("avx512f"))) static void f32_avx512(size_t rounds) {
  LOOP(__m512, _mm512_setzero_ps(), _mm512_set1_ps(1), _mm512_fmadd_ps(a, b, sum[i]))
}

typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "as LDTILECFG reads it");

#define AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))

/// Two by two tiles of sums, as a product of matrices has them.
AMX static void amx_begin(void) {
  tile_config config = {.palette = 1};
  for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
  static const uint8_t zeros[1024] __attribute__((aligned(64)));
  _tile_loadconfig(&config);
  _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
}

AMX static void int8_amx(size_t rounds) {
  amx_begin();
  for (size_t round = 0; round < rounds; round++) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
}

AMX static void bf16_amx(size_t rounds) {
  amx_begin();
  for (size_t round = 0; round < rounds; round++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

size_t vlm_machine_peak_loops(vlm_peak_loop *loops) {
  size_t count = 0;
#define ADD(text, what, set, operations, function) \
  loops[count++] = (vlm_peak_loop){text, what, set, operations, function}
  if (vlm_kernels_for(VLM_ISA_SSE41)) {
    ADD("pmaddwd xmm", VLM_PEAK_INT8, VLM_ISA_SSE41, SUMS * 8 * 2.0, int8_sse41);
    ADD("mulps xmm", VLM_PEAK_F32, VLM_ISA_SSE41, SUMS * 4 * 2.0, f32_sse41);
  }
  if (vlm_kernels_for(VLM_ISA_AVX2)) {
    ADD("vpmaddwd ymm", VLM_PEAK_INT8, VLM_ISA_AVX2, SUMS * 16 * 2.0, int8_avx2);
    ADD("vfmadd ymm", VLM_PEAK_F32, VLM_ISA_AVX2, SUMS * 8 * 2.0, f32_avx2);
  }
  if (vlm_kernels_for(VLM_ISA_AVXVNNI))
    ADD("vpdpbusd ymm", VLM_PEAK_INT8, VLM_ISA_AVXVNNI, SUMS * 32 * 2.0, int8_avxvnni);
  if (vlm_kernels_for(VLM_ISA_AVX512VNNI)) {
    ADD("vpdpbusd zmm", VLM_PEAK_INT8, VLM_ISA_AVX512VNNI, SUMS * 64 * 2.0, int8_avx512);
    ADD("vfmadd zmm", VLM_PEAK_F32, VLM_ISA_AVX512VNNI, SUMS * 16 * 2.0, f32_avx512);
  }
  if (vlm_kernels_for(VLM_ISA_AVX512BF16))
    ADD("vdpbf16ps zmm", VLM_PEAK_BF16, VLM_ISA_AVX512BF16, SUMS * 32 * 2.0, bf16_avx512);
  if (vlm_kernels_for(VLM_ISA_AMX)) {
    ADD("tdpbusd", VLM_PEAK_INT8, VLM_ISA_AMX, 4 * 16 * 16 * 64 * 2.0, int8_amx);
    ADD("tdpbf16ps", VLM_PEAK_BF16, VLM_ISA_AMX, 4 * 16 * 16 * 32 * 2.0, bf16_amx);
  }
#undef ADD
  return count;
}

#endif
