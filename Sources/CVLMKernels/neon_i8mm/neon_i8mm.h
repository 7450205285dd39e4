// The kernels that the int8 matrix multiply makes faster; the rest of the table is the neon one's.
#ifndef VLM_NEON_I8MM_H
#define VLM_NEON_I8MM_H

#include "../internal.h"

void vlm_gemm_u8_q8__neon_i8mm(const vlm_gemm *);
void vlm_gemm_u8_q4__neon_i8mm(const vlm_gemm *);

#endif
