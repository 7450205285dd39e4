// Which encoders for which instructions, and how much scratch they need.
#include "../detect/features.h"
#include "lanes.h"

/// The fastest first.
static const struct {
  const vlm_encoder *encoder;
  unsigned features;
} encoders[] = {
#if defined(__x86_64__)
    {&vlm_encoder_avx512, VLM_FEATURE_AVX512},
    {&vlm_encoder_avx2, VLM_FEATURE_AVX2},
    {&vlm_encoder_sse41, VLM_FEATURE_SSE41},
#endif
    {&vlm_encoder_baseline, 0},
};

/// The fastest encoder that uses nothing but these features.
static const vlm_encoder *encoder_within(unsigned features) {
  size_t i = 0;
  while (encoders[i].features & ~features) i++;
  return encoders[i].encoder;
}

const vlm_encoder *vlm_encoder_for(vlm_isa isa) {
  return vlm_kernels_for(isa) ? encoder_within(vlm_isa_features(isa)) : NULL;
}

const vlm_encoder *vlm_encoder_best(void) { return encoder_within(vlm_machine_features()); }

size_t vlm_encode_scratch_bytes(size_t inputs) {
  const size_t blocks = vlm_block_count(inputs), padded = blocks * VLM_BLOCK_INPUTS;
  return padded * (2 * sizeof(lanes) + sizeof(float)) + 4 * blocks * sizeof(lanes);
}
