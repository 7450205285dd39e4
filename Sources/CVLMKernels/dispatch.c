// The table of each instruction set, and which of them this machine can run.
#include "detect/features.h"
#include "kernel_list.h"

// A later initializer of an entry replaces an earlier one: a set inherits the kernels of the set
// below it and lists its own after them.
#pragma clang diagnostic ignored "-Winitializer-overrides"

#define ENTRY(name, set) .name = vlm_##name##__##set,

static const vlm_kernels scalar = {
    .isa = VLM_ISA_SCALAR, .name = "scalar", VLM_ALL_KERNELS(ENTRY, scalar)};

#if defined(__x86_64__)
#define FROM_AVX512VNNI VLM_ALL_KERNELS(ENTRY, avx512vnni)
#define FROM_AVX512BF16 FROM_AVX512VNNI VLM_AVX512BF16_KERNELS(ENTRY)

static const vlm_kernels sse41 = {
    .isa = VLM_ISA_SSE41, .name = "sse41", VLM_ALL_KERNELS(ENTRY, sse41)};
static const vlm_kernels avx2 = {
    .isa = VLM_ISA_AVX2, .name = "avx2", VLM_ALL_KERNELS(ENTRY, avx2)};
static const vlm_kernels avxvnni = {
    .isa = VLM_ISA_AVXVNNI, .name = "avxvnni",
    VLM_ALL_KERNELS(ENTRY, avx2) VLM_AVXVNNI_KERNELS(ENTRY)};
static const vlm_kernels avx512vnni = {
    .isa = VLM_ISA_AVX512VNNI, .name = "avx512vnni", FROM_AVX512VNNI};
static const vlm_kernels avx512bf16 = {
    .isa = VLM_ISA_AVX512BF16, .name = "avx512bf16", FROM_AVX512BF16};
static const vlm_kernels amx = {
    .isa = VLM_ISA_AMX, .name = "amx", FROM_AVX512BF16 VLM_AMX_KERNELS(ENTRY)};
#elif defined(__aarch64__)
static const vlm_kernels neon = {
    .isa = VLM_ISA_NEON, .name = "neon", VLM_ALL_KERNELS(ENTRY, neon)};
static const vlm_kernels neon_dotprod = {
    .isa = VLM_ISA_NEON_DOTPROD, .name = "neon-dotprod",
    VLM_ALL_KERNELS(ENTRY, neon) VLM_NEON_DOTPROD_KERNELS(ENTRY)};
static const vlm_kernels neon_i8mm = {
    .isa = VLM_ISA_NEON_I8MM, .name = "neon-i8mm",
    VLM_ALL_KERNELS(ENTRY, neon) VLM_NEON_I8MM_KERNELS(ENTRY)};
#endif

/// Tables that this build cannot hold are NULL.
static const vlm_kernels *const tables[VLM_ISA_COUNT] = {
    [VLM_ISA_SCALAR] = &scalar,
#if defined(__x86_64__)
    [VLM_ISA_SSE41] = &sse41,
    [VLM_ISA_AVX2] = &avx2,
    [VLM_ISA_AVXVNNI] = &avxvnni,
    [VLM_ISA_AVX512VNNI] = &avx512vnni,
    [VLM_ISA_AVX512BF16] = &avx512bf16,
    [VLM_ISA_AMX] = &amx,
#elif defined(__aarch64__)
    [VLM_ISA_NEON] = &neon,
    [VLM_ISA_NEON_DOTPROD] = &neon_dotprod,
    [VLM_ISA_NEON_I8MM] = &neon_i8mm,
#endif
};

const vlm_kernels *vlm_kernels_for(vlm_isa isa) {
  if ((unsigned)isa >= VLM_ISA_COUNT || !tables[isa]) return NULL;
  return vlm_machine_has(vlm_isa_features(isa)) ? tables[isa] : NULL;
}

vlm_isa vlm_isa_best(void) {
  // The enumeration rises with what a set can do, on either architecture.
  for (int isa = VLM_ISA_COUNT - 1; isa > VLM_ISA_SCALAR; isa--)
    if (vlm_kernels_for((vlm_isa)isa)) return (vlm_isa)isa;
  return VLM_ISA_SCALAR;
}

const char *vlm_isa_name(vlm_isa isa) {
  static const char *const names[VLM_ISA_COUNT] = {
      "scalar", "sse41", "avx2", "avxvnni", "avx512vnni", "avx512bf16", "amx", "neon",
      "neon-dotprod", "neon-i8mm"};
  return (unsigned)isa < VLM_ISA_COUNT ? names[isa] : NULL;
}
