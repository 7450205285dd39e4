#include "vlm_encode.h"

#include "lanes.h"

extern const vlm_encoder vlm_encoder_baseline, vlm_encoder_avx2, vlm_encoder_avx512;

size_t vlm_encode_scratch_bytes(size_t inputs) {
  const size_t blocks = vlm_block_count(inputs), padded = blocks * VLM_BLOCK_INPUTS;
  return padded * (sizeof(lanes) / 2 * 3 + sizeof(float)) + 4 * blocks * sizeof(lanes);
}

const vlm_encoder *vlm_encoder_for(vlm_encode_isa isa) {
  switch (isa) {
  case VLM_ENCODE_BASELINE:
    return &vlm_encoder_baseline;
#if defined(__x86_64__)
  // These builtins ask the operating system too.
  case VLM_ENCODE_AVX2:
    return __builtin_cpu_supports("avx2") ? &vlm_encoder_avx2 : NULL;
  case VLM_ENCODE_AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
               ? &vlm_encoder_avx512
               : NULL;
#endif
  default:
    return NULL;
  }
}

const vlm_encoder *vlm_encoder_best(void) {
  for (int isa = VLM_ENCODE_ISA_COUNT - 1; isa > VLM_ENCODE_BASELINE; isa--) {
    const vlm_encoder *encoder = vlm_encoder_for((vlm_encode_isa)isa);
    if (encoder != NULL) return encoder;
  }
  return &vlm_encoder_baseline;
}
