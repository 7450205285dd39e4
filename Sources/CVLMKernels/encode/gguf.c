// Sizes of GGUF's blocks, and the choice of a decoder.
#include "../detect/features.h"
#include "lanes.h"

vlm_gguf_size vlm_gguf_block_size(uint32_t type) {
  switch (type) {
  case VLM_GGUF_Q4_0:
  case VLM_GGUF_IQ4_NL: return (vlm_gguf_size){32, 18};
  case VLM_GGUF_Q4_1: return (vlm_gguf_size){32, 20};
  case VLM_GGUF_Q5_0: return (vlm_gguf_size){32, 22};
  case VLM_GGUF_Q5_1: return (vlm_gguf_size){32, 24};
  case VLM_GGUF_Q8_0: return (vlm_gguf_size){32, 34};
  case VLM_GGUF_Q2_K: return (vlm_gguf_size){256, 84};
  case VLM_GGUF_Q3_K: return (vlm_gguf_size){256, 110};
  case VLM_GGUF_Q4_K: return (vlm_gguf_size){256, 144};
  case VLM_GGUF_Q5_K: return (vlm_gguf_size){256, 176};
  case VLM_GGUF_Q6_K: return (vlm_gguf_size){256, 210};
  case VLM_GGUF_IQ4_XS: return (vlm_gguf_size){256, 136};
  default: return (vlm_gguf_size){0, 0};
  }
}

void vlm_gguf_decode(uint32_t type, size_t blocks, const void *bytes, float *values) {
#if defined(__x86_64__)
  if (vlm_machine_has(VLM_FEATURE_AVX2)) {
    vlm_gguf_decode__avx2(type, blocks, bytes, values);
    return;
  }
#endif
  vlm_gguf_decode__baseline(type, blocks, bytes, values);
}
