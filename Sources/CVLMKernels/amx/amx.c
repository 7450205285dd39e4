// Kernels of AMX: integer products by tdpbusd, products of bf16 and attention over bf16 by
// tdpbf16ps, the rest from avx512bf16.
#if defined(__x86_64__)

#include "../kernel_list.h"
#include "../targets.h"

#define VLM_CODE_BYTES 64

VLM_TARGET_AMX_BEGIN

#include "tiles.h"
#include "../avx512bf16/attention_tile.inc"
#include "../lanes/code_pairs.inc"
#include "../avx512vnni/expand_qn.inc"
#include "attention.inc"
#include "gemm_f32_bf16.inc"
#include "gemm_u8_q8.inc"
#include "gemm_u8_qn.inc"

VLM_TARGET_END

#endif
