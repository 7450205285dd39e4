#include "vlm_kernels.h"

const char *vlm_isa_name(vlm_isa isa) {
  static const char *const names[VLM_ISA_COUNT] = {
      "scalar", "avx2", "avx512vnni", "amx", "neon", "neon-dotprod", "neon-i8mm"};
  return (unsigned)isa < VLM_ISA_COUNT ? names[isa] : NULL;
}
