// Kernels of AVX512_BF16: attention over bf16 keys and values by vdpbf16ps, the rest from
// avx512vnni.
#if defined(__x86_64__)

#include "../kernel_list.h"
#include "../targets.h"

VLM_TARGET_AVX512BF16_BEGIN

#include "attention_tile.inc"
#include "attention.inc"

VLM_TARGET_END

#endif
