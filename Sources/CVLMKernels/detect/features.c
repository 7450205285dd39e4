// Features of instruction sets, and those of this machine, detected once.
#include "features.h"

#include <stdatomic.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
unsigned vlm_detect_features(void) { return 0; }
#endif

#if !defined(__x86_64__)
vlm_vendor vlm_processor_vendor(void) { return VLM_VENDOR_OTHER; }
#endif

unsigned vlm_machine_features(void) {
  enum { KNOWN = 1 << 30 };
  // CPUID traps under a hypervisor, so the answer is kept. Two threads that
  // detect at once store the same answer.
  static atomic_uint answer;
  unsigned features = atomic_load_explicit(&answer, memory_order_relaxed);
  if (!features) {
    features = vlm_detect_features() | KNOWN;
    atomic_store_explicit(&answer, features, memory_order_relaxed);
  }
  return features;
}

unsigned vlm_isa_features(vlm_isa isa) {
  const unsigned avx2 = VLM_FEATURE_SSE41 | VLM_FEATURE_AVX2;
  const unsigned avx512 = avx2 | VLM_FEATURE_AVX512 | VLM_FEATURE_AVX512VNNI;
  const unsigned bf16 = avx512 | VLM_FEATURE_AVX512BF16;
  switch (isa) {
  case VLM_ISA_SSE41: return VLM_FEATURE_SSE41;
  case VLM_ISA_AVX2: return avx2;
  case VLM_ISA_AVXVNNI: return avx2 | VLM_FEATURE_AVXVNNI;
  case VLM_ISA_AVX512VNNI: return avx512;
  case VLM_ISA_AVX512BF16: return bf16;
  case VLM_ISA_AMX: return bf16 | VLM_FEATURE_AMX;
  case VLM_ISA_NEON: return VLM_FEATURE_NEON;
  case VLM_ISA_NEON_DOTPROD: return VLM_FEATURE_NEON | VLM_FEATURE_DOTPROD;
  case VLM_ISA_NEON_I8MM: return VLM_FEATURE_NEON | VLM_FEATURE_DOTPROD | VLM_FEATURE_I8MM;
  case VLM_ISA_SCALAR:
  case VLM_ISA_COUNT: break;
  }
  return 0;
}
