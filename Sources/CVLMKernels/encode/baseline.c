// The encoders, and the decoders of GGUF, for whatever the compiler assumes of the target: SSE2 on
// x86-64, NEON on arm64.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "lanes.h"

#include "all.inc"
#include "gguf.inc"

const vlm_encoder vlm_encoder_baseline = VLM_ENCODER("baseline");

void vlm_gguf_decode__baseline(uint32_t type, size_t blocks, const uint8_t *bytes, float *values) {
  gguf_decode(type, blocks, bytes, values);
}
