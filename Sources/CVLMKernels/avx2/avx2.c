// Kernels of AVX2 with FMA and F16C: vectors of 8 floats, integer products by vpmaddwd and
// vpmaddubsw.
#if defined(__x86_64__)

#include "../halves.h"
#include "../kernel_list.h"
#include "../largest.h"
#include "../targets.h"

#define VLM_LANES_NAME(function) function##__avx2
#define VLM_CODE_BYTES 32

VLM_TARGET_AVX2_BEGIN

// What a file uses stands before it.
#include "lanes.h"
#include "../lanes/all.inc"
#include "u8.inc"
#include "gemm_f32_half.inc"
#include "../lanes/code_pairs.inc"
#include "gemm_u8_qn.inc"
#include "gemm_u8_q8_few.inc"
#include "gemm_u8_q8.inc"

VLM_TARGET_END

#endif
