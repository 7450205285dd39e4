// The kernels that products of bf16 make faster; the rest of the table is the avx512vnni one's.
#ifndef VLM_AVX512BF16_H
#define VLM_AVX512BF16_H

#include "../internal.h"

size_t vlm_attention_scratch_bytes__avx512bf16(size_t head_dim);
void vlm_attention_f32__avx512bf16(const vlm_attention *);

#endif
