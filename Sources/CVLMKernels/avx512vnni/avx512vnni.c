// Kernels of AVX-512 F, BW, VL, DQ and VNNI: vectors of 16 floats, integer products by vpdpbusd.
#if defined(__x86_64__)

#include "../halves.h"
#include "../kernel_list.h"
#include "../largest.h"
#include "../targets.h"

#define VLM_LANES_NAME(function) function##__avx512vnni
#define VLM_CODE_BYTES 64

VLM_TARGET_AVX512VNNI_BEGIN

#include "lanes.h"
#include "../lanes/all.inc"
#include "../avx2/u8.inc"
#include "../lanes/code_pairs.inc"
#include "expand_qn.inc"
#include "gemm_f32_half.inc"
#include "gemm_u8_q8.inc"
#include "gemm_u8_qn.inc"

VLM_TARGET_END

#endif
