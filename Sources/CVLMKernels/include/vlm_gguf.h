// Decoders of GGUF's quantised blocks, by the layouts of the GGUF and ggml documentation.
//
// Any bytes may come: what a block says is computed, not trusted, and nothing but the blocks' own
// bytes is read. No allocation, threads, I/O or environment. A value is a product of floats, or a
// product less another, each rounded once and never fused: every machine gives the same bits.
#ifndef VLM_GGUF_H
#define VLM_GGUF_H

#include <stddef.h>
#include <stdint.h>

/// GGUF's own numbers of the types that are decoded here.
typedef enum vlm_gguf_type {
  VLM_GGUF_Q4_0 = 2,
  VLM_GGUF_Q4_1 = 3,
  VLM_GGUF_Q5_0 = 6,
  VLM_GGUF_Q5_1 = 7,
  VLM_GGUF_Q8_0 = 8,
  VLM_GGUF_Q2_K = 10,
  VLM_GGUF_Q3_K = 11,
  VLM_GGUF_Q4_K = 12,
  VLM_GGUF_Q5_K = 13,
  VLM_GGUF_Q6_K = 14,
  VLM_GGUF_IQ4_NL = 20,
  VLM_GGUF_IQ4_XS = 23,
} vlm_gguf_type;

/// Elements and bytes of a block; {0, 0} for types that are not decoded here.
typedef struct vlm_gguf_size {
  size_t elements, bytes;
} vlm_gguf_size;

vlm_gguf_size vlm_gguf_block_size(uint32_t type);

/// Decodes `blocks` blocks, at any alignment, to blocks * elements values. A type that is not
/// decoded here leaves `values` as they are.
void vlm_gguf_decode(uint32_t type, size_t blocks, const void *bytes, float *values);

#endif
