// Kernels of AVX-VNNI without AVX-512: integer products by 256-bit vpdpbusd, the rest from avx2.
#if defined(__x86_64__)

#include "../kernel_list.h"
#include "../targets.h"

#define VLM_CODE_BYTES 32

VLM_TARGET_AVXVNNI_BEGIN

#include "../avx2/u8.inc"
#include "../lanes/code_pairs.inc"
#include "gemm_u8_q8.inc"
#include "gemm_u8_qn.inc"

VLM_TARGET_END

#endif
