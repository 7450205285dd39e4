// The encoders for AVX-512 F, BW, VL and DQ; fused multiply-add is not among the features on
// purpose.
#if defined(__x86_64__)

#include "../targets.h"
#include "lanes.h"

#define VLM_MADD_512

VLM_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq")

#include "all.inc"

VLM_TARGET_END

const vlm_encoder vlm_encoder_avx512 = VLM_ENCODER("avx512");

#endif
