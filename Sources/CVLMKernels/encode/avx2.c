// The encoders, and the decoders of GGUF, for AVX2; fused multiply-add is not among the features on
// purpose.
#if defined(__x86_64__)

#include "../targets.h"
#include "lanes.h"

#define VLM_MADD_256

VLM_TARGET_BEGIN("avx2")

#include "all.inc"
#include "gguf.inc"

void vlm_gguf_decode__avx2(uint32_t type, size_t blocks, const uint8_t *bytes, float *values) {
  gguf_decode(type, blocks, bytes, values);
}

VLM_TARGET_END

const vlm_encoder vlm_encoder_avx2 = VLM_ENCODER("avx2");

#endif
