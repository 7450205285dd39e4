// The kernels that the dot product makes faster; the rest of the table is the neon one's.
#ifndef VLM_NEON_DOTPROD_H
#define VLM_NEON_DOTPROD_H

#include "../internal.h"

void vlm_gemm_u8_q8__neon_dotprod(const vlm_gemm *);
void vlm_gemm_u8_q4__neon_dotprod(const vlm_gemm *);

#endif
