// The same encoders compiled for AVX512; fused multiply-add is not among the features on purpose.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define VLM_MADD_512
#include "lanes.h"

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#include "panel_body.h"
#include "q4_body.h"
#include "madd.h"
#include "q4_search.h"
#include "q4_panel_body.h"
#pragma clang attribute pop

const vlm_encoder vlm_encoder_avx512 = {
    VLM_ENCODE_AVX512, "avx512", encode_q8, encode_q4, encode_q4_min_max,
    encode_f16, encode_bf16};
#endif
