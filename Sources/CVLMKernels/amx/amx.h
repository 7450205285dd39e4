// The kernels that tiles make faster; the rest of the table is the avx512vnni one's.
#ifndef VLM_AMX_H
#define VLM_AMX_H

#include "../internal.h"

/// Rows of activations that one pass of tiles takes: two groups of 16.
enum { VLM_AMX_ROWS = 32 };

size_t vlm_gemm_scratch_bytes__amx(size_t inputs);
void vlm_gemm_u8_q8__amx(const vlm_gemm *);
void vlm_gemm_u8_q4__amx(const vlm_gemm *);
void vlm_gemm_f32_bf16__amx(const vlm_gemm *);
size_t vlm_attention_scratch_bytes__amx(size_t head_dim);
void vlm_attention_f32__amx(const vlm_attention *);

/// Bytes of one panel of int8 codes, inputs rounded up to whole tiles of 64.
VLM_INLINE size_t vlm_amx_codes_bytes(size_t inputs) { return (inputs + 63) / 64 * 1024; }

#endif
