// Which table for which instruction set. Tables that this build cannot hold are NULL here; tables
// that this machine cannot run are refused by vlm_machine_has.
#include "internal.h"

static const vlm_kernels *const tables[VLM_ISA_COUNT] = {
    [VLM_ISA_SCALAR] = &vlm_kernels_scalar,
#if defined(__x86_64__)
    [VLM_ISA_AVX2] = &vlm_kernels_avx2,
    [VLM_ISA_AVXVNNI] = &vlm_kernels_avxvnni,
    [VLM_ISA_AVX512VNNI] = &vlm_kernels_avx512vnni,
    [VLM_ISA_AVX512BF16] = &vlm_kernels_avx512bf16,
    [VLM_ISA_AMX] = &vlm_kernels_amx,
#elif defined(__aarch64__)
    [VLM_ISA_NEON] = &vlm_kernels_neon,
    [VLM_ISA_NEON_DOTPROD] = &vlm_kernels_neon_dotprod,
    [VLM_ISA_NEON_I8MM] = &vlm_kernels_neon_i8mm,
#endif
};

const vlm_kernels *vlm_kernels_for(vlm_isa isa) {
  if ((unsigned)isa >= VLM_ISA_COUNT || !tables[isa]) return NULL;
  return isa == VLM_ISA_SCALAR || vlm_machine_has(isa) ? tables[isa] : NULL;
}

vlm_isa vlm_isa_best(void) {
  // The enumeration rises with what a set can do, on either architecture.
  for (int isa = VLM_ISA_COUNT - 1; isa > VLM_ISA_SCALAR; isa--)
    if (vlm_kernels_for((vlm_isa)isa)) return (vlm_isa)isa;
  return VLM_ISA_SCALAR;
}

const char *vlm_isa_name(vlm_isa isa) {
  static const char *const names[VLM_ISA_COUNT] = {
      "scalar", "avx2", "avxvnni", "avx512vnni", "avx512bf16", "amx", "neon", "neon-dotprod",
      "neon-i8mm"};
  return (unsigned)isa < VLM_ISA_COUNT ? names[isa] : NULL;
}
