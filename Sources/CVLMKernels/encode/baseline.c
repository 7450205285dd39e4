// The encoders for whatever the compiler assumes of the target: SSE2 on x86-64, NEON on arm64.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "lanes.h"

#include "panel_body.h"
#include "q4_body.h"
#include "madd.h"
#include "q4_search.h"
#include "q4_panel_body.h"

const vlm_encoder vlm_encoder_baseline = {
    VLM_ENCODE_BASELINE, "baseline", encode_q8, encode_q4, encode_q4_min_max,
    encode_f16,          encode_bf16};
