// One target per x86 tier, given to the functions between BEGIN and VLM_TARGET_END: a single binary
// carries all tiers and each function may use only its own tier's instructions.
#ifndef VLM_X86_TARGETS_H
#define VLM_X86_TARGETS_H

#include <immintrin.h>

#define VLM_TARGET_BEGIN_(text) _Pragma(#text)
#define VLM_TARGET_BEGIN(features) \
  VLM_TARGET_BEGIN_(clang attribute push(__attribute__((target(features))), apply_to = function))

#define VLM_TARGET_AVX2_BEGIN VLM_TARGET_BEGIN("avx2,fma,f16c")
#define VLM_TARGET_AVXVNNI_BEGIN VLM_TARGET_BEGIN("avx2,fma,f16c,avxvnni")
#define VLM_TARGET_AVX512VNNI_BEGIN \
  VLM_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#define VLM_TARGET_AVX512BF16_BEGIN \
  VLM_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
#define VLM_TARGET_AMX_BEGIN \
  VLM_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16," \
                   "amx-tile,amx-int8,amx-bf16")
/// Two vectors are in registers here, and what made them stays before what uses them. Without it
/// clang adds the products of unrolled steps to one another first, and spills the sums.
#define VLM_KEEP_ORDER(a, b) __asm__ volatile("" : "+v"(a), "+v"(b))

#define VLM_TARGET_END _Pragma("clang attribute pop")

#endif
