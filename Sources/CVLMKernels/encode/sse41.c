// The encoders for SSE4.1 with SSSE3, whose rounding is an instruction. GGUF is decoded by the baseline: a third slower
// at most, which is under a hundredth of what encoding the values takes.
#if defined(__x86_64__)

#include "../targets.h"
#include "lanes.h"

#define VLM_MADD_128

VLM_TARGET_SSE41_BEGIN

#include "all.inc"

VLM_TARGET_END

const vlm_encoder vlm_encoder_sse41 = VLM_ENCODER("sse41");

#endif
