// The reference: what these functions compute is what is right. Plain C, on any processor.
#include "../halves.h"
#include "../kernel_list.h"
#include "../largest.h"

#include "activations.inc"
#include "attention.inc"
#include "depthwise.inc"
#include "products.inc"
#include "rows.inc"

size_t vlm_gemm_scratch_bytes__scalar(size_t inputs) {
  (void)inputs;
  return 0;
}
