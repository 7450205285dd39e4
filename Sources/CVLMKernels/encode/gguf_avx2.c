// The same decoders compiled for AVX2; fused multiply-add is not among the features on purpose.
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#include "gguf_body.h"

void vlm_gguf_decode_avx2(uint32_t type, size_t blocks, const uint8_t *bytes, float *values);

void vlm_gguf_decode_avx2(uint32_t type, size_t blocks, const uint8_t *bytes, float *values) {
  gguf_decode(type, blocks, bytes, values);
}
#pragma clang attribute pop
#endif
