// Kernels of SSE4.1 with SSSE3, for x86-64 without AVX: vectors of 4 floats, integer products by
// pmaddubsw and pmaddwd.
//
// An instruction of two operands overwrites one of them. So each product costs three: a copy, the
// multiplication, the addition. Where activations lie spread, repeated over a vector
// (floats.inc, u8.inc), the copy is the load.
#if defined(__x86_64__)

#include "../halves.h"
#include "../kernel_list.h"
#include "../largest.h"
#include "../targets.h"

#define VLM_LANES_NAME(function) function##__sse41
#define VLM_CODE_BYTES 16

VLM_TARGET_SSE41_BEGIN

// What a file uses stands before it.
#include "lanes.h"
#include "floats.inc"
#include "../lanes/all.inc"
#include "u8.inc"
#include "gemm_f32_half.inc"
#include "../lanes/code_pairs.inc"
#include "gemm_u8_qn_few.inc"
#include "gemm_u8_qn.inc"
#include "gemm_u8_q8_few.inc"
#include "gemm_u8_q8.inc"

VLM_TARGET_END

#endif
