// Kernels of Armv8.0: vectors of 4 floats, integer products by smlal.
#if defined(__aarch64__)

#include "../halves.h"
#include "../kernel_list.h"
#include "../largest.h"
#include "../targets.h"

#define VLM_LANES_NAME(function) function##__neon
#define VLM_CODE_BYTES 16

#include "lanes.h"
#include "../lanes/all.inc"
#include "gemm_f32_half.inc"
#include "../lanes/code_pairs.inc"
#include "u8_panels.inc"
#include "gemm_u8.inc"

size_t vlm_gemm_scratch_bytes__neon(size_t inputs) { return vlm_q8_tail_offset(inputs); }

#endif
