// The target of each instruction set. One binary carries all sets of its architecture: no build
// flag names an instruction set, each unit begins the target that its functions are compiled for.
//
// A function may be inlined only where its target's features are all there. A helper that several
// sets share is therefore included by each of them, and is static in each.
#ifndef VLM_TARGETS_H
#define VLM_TARGETS_H

#define VLM_TARGET_PRAGMA(text) _Pragma(#text)
/// Between BEGIN and END every function is compiled for the features. System headers stand before.
#define VLM_TARGET_BEGIN(features) \
  VLM_TARGET_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define VLM_TARGET_END _Pragma("clang attribute pop")

#if defined(__x86_64__)

#include <immintrin.h>

#define VLM_TARGET_SSE41_BEGIN VLM_TARGET_BEGIN("sse4.1") // with SSSE3
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

#elif defined(__aarch64__)

#include <arm_neon.h>

// Armv8.0, the compiler's own target, has what the neon set needs.
#define VLM_TARGET_NEON_DOTPROD_BEGIN VLM_TARGET_BEGIN("dotprod")
#define VLM_TARGET_NEON_I8MM_BEGIN VLM_TARGET_BEGIN("dotprod,i8mm")

#endif

#endif
