// The encoders, and the decoders of GGUF, for SSE4.1 with SSSE3, whose rounding is an instruction.
#if defined(__x86_64__)

#include "../targets.h"
#include "lanes.h"

#define VLM_MADD_128

VLM_TARGET_SSE41_BEGIN

#include "all.inc"
#include "gguf.inc"

void vlm_gguf_decode__sse41(uint32_t type, size_t blocks, const uint8_t *bytes, float *values) {
  gguf_decode(type, blocks, bytes, values);
}

VLM_TARGET_END

const vlm_encoder vlm_encoder_sse41 = VLM_ENCODER("sse41");

#endif
