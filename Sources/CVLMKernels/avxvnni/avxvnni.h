// The kernels that this set has beside those of avx2; table.c gathers them.
#ifndef VLM_AVXVNNI_H
#define VLM_AVXVNNI_H

#include "../avx2/avx2.h"

size_t vlm_gemm_scratch_bytes__avxvnni(size_t inputs);
void vlm_gemm_u8_q8__avxvnni(const vlm_gemm *);
void vlm_gemm_u8_q4__avxvnni(const vlm_gemm *);

#endif
