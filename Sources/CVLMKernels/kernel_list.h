// The entries of a kernel table, and what each instruction set has of its own.
//
// A set declares its kernels by its list; dispatch.c makes the tables from the same lists. The
// kernel `name` of `set` is the function vlm_<name>__<set>, of the type that vlm_kernels.h has.
#ifndef VLM_KERNEL_LIST_H
#define VLM_KERNEL_LIST_H

#include "internal.h"

/// Every entry: ENTRY(name, set) for each.
#define VLM_ALL_KERNELS(ENTRY, set)   \
  ENTRY(gemm_scratch_bytes, set)      \
  ENTRY(gemm_u8_q8, set)              \
  ENTRY(gemm_u8_q3, set)              \
  ENTRY(gemm_u8_q4, set)              \
  ENTRY(gemm_u8_q5, set)              \
  ENTRY(gemm_u8_q6, set)              \
  ENTRY(add_outliers_q8, set)         \
  ENTRY(add_outliers_q3, set)         \
  ENTRY(add_outliers_q4, set)         \
  ENTRY(add_outliers_q5, set)         \
  ENTRY(add_outliers_q6, set)         \
  ENTRY(gemm_f32_f16, set)            \
  ENTRY(gemm_f32_bf16, set)           \
  ENTRY(multiply_f32, set)            \
  ENTRY(epilogue_f32, set)            \
  ENTRY(quantize_rows_u8, set)        \
  ENTRY(take_outliers, set)           \
  ENTRY(layer_norm_f32, set)          \
  ENTRY(depthwise_f32, set)           \
  ENTRY(activation_f32, set)          \
  ENTRY(sum_squares_f32, set)         \
  ENTRY(scale_shift_f32, set)         \
  ENTRY(rms_norm_f32, set)            \
  ENTRY(simple_norm_f32, set)         \
  ENTRY(rotate_half_f32, set)         \
  ENTRY(gate_f32, set)                \
  ENTRY(soft_cap_f32, set)            \
  ENTRY(store_keys_values, set)       \
  ENTRY(attention_scratch_bytes, set) \
  ENTRY(attention_f32, set)

// A list that lacked an entry would leave it NULL in every table.
#define VLM_COUNT_ENTRY(name, set) +1
_Static_assert(
    sizeof(vlm_kernels) == offsetof(vlm_kernels, gemm_scratch_bytes) +
                               (0 VLM_ALL_KERNELS(VLM_COUNT_ENTRY, )) * sizeof(void (*)(void)),
    "VLM_ALL_KERNELS names every function of vlm_kernels");
#undef VLM_COUNT_ENTRY

// Sets with vectors of their own width have every kernel: scalar, sse41, avx2, avx512vnni, neon.
// The others have these, and inherit the rest.
#define VLM_U8_KERNELS(ENTRY, set)                                         \
  ENTRY(gemm_u8_q8, set) ENTRY(gemm_u8_q3, set) ENTRY(gemm_u8_q4, set)     \
  ENTRY(gemm_u8_q5, set) ENTRY(gemm_u8_q6, set)
#define VLM_AVXVNNI_KERNELS(ENTRY) \
  ENTRY(gemm_scratch_bytes, avxvnni) VLM_U8_KERNELS(ENTRY, avxvnni)
#define VLM_AVX512BF16_KERNELS(ENTRY) \
  ENTRY(attention_scratch_bytes, avx512bf16) ENTRY(attention_f32, avx512bf16)
#define VLM_AMX_KERNELS(ENTRY)                                                         \
  ENTRY(gemm_scratch_bytes, amx) VLM_U8_KERNELS(ENTRY, amx)                            \
  ENTRY(gemm_f32_bf16, amx) ENTRY(attention_scratch_bytes, amx) ENTRY(attention_f32, amx)
#define VLM_NEON_DOTPROD_KERNELS(ENTRY) VLM_U8_KERNELS(ENTRY, neon_dotprod)
#define VLM_NEON_I8MM_KERNELS(ENTRY) VLM_U8_KERNELS(ENTRY, neon_i8mm)

/// The products of q3 to q6 of `set` by its qn_gemm(g, bits), and their outliers by `lanes`, the set
/// whose kernels those are.
#define VLM_QN_GEMMS(set, lanes) \
  VLM_QN_GEMM(3, set, lanes)     \
  VLM_QN_GEMM(4, set, lanes)     \
  VLM_QN_GEMM(5, set, lanes)     \
  VLM_QN_GEMM(6, set, lanes)
#define VLM_QN_GEMM(bits, set, lanes)                             \
  void vlm_gemm_u8_q##bits##__##set(const vlm_gemm *g) {          \
    qn_gemm(g, bits);                                             \
    vlm_add_own_outliers(g, vlm_add_outliers_q##bits##__##lanes); \
  }

#define VLM_DECLARE(name, set) __typeof__(*((vlm_kernels *)0)->name) vlm_##name##__##set;

/// Of a set with vectors of its own, what writes a tile of sums through the epilogue:
/// lanes/epilogue.inc. Never inlined: it is long, and every product ends with it.
#define VLM_DECLARE_FINISH(set)                                                             \
  __attribute__((noinline)) void vlm_finish_i32__##set(                                     \
      const vlm_gemm *g, size_t row, size_t rows, size_t panel, const vlm_panel_tail *tail, \
      const int32_t *tile, size_t tile_stride);                                             \
  __attribute__((noinline)) void vlm_finish_f32__##set(                                     \
      const vlm_gemm *g, size_t row, size_t rows, size_t panel, const float *tile,          \
      size_t tile_stride);

VLM_ALL_KERNELS(VLM_DECLARE, scalar)
#if defined(__x86_64__)
VLM_ALL_KERNELS(VLM_DECLARE, sse41)
VLM_DECLARE_FINISH(sse41)
VLM_ALL_KERNELS(VLM_DECLARE, avx2)
VLM_DECLARE_FINISH(avx2)
VLM_AVXVNNI_KERNELS(VLM_DECLARE)
VLM_ALL_KERNELS(VLM_DECLARE, avx512vnni)
VLM_DECLARE_FINISH(avx512vnni)
VLM_AVX512BF16_KERNELS(VLM_DECLARE)
VLM_AMX_KERNELS(VLM_DECLARE)
#elif defined(__aarch64__)
VLM_ALL_KERNELS(VLM_DECLARE, neon)
VLM_DECLARE_FINISH(neon)
VLM_NEON_DOTPROD_KERNELS(VLM_DECLARE)
VLM_NEON_I8MM_KERNELS(VLM_DECLARE)
#endif

#endif
