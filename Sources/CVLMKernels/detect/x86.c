// Features of x86. One needs the processor's bits (CPUID), the operating system's saving of its
// registers (XCR0), and for AMX the system's permission to use tile data.
#if defined(__x86_64__)

#define _DEFAULT_SOURCE // syscall

#include "features.h"

#include <cpuid.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// XCR0: state that the operating system saves on a task switch.
enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

static bool all_set(unsigned value, unsigned bits) { return (value & bits) == bits; }

static uint64_t read_xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

#if defined(VLM_EMULATE_AMX)
static bool has_amx(unsigned edx, uint64_t xcr0) {
  (void)edx, (void)xcr0;
  return true;
}
#else
static bool has_amx(unsigned edx, uint64_t xcr0) {
  const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
  if (!all_set(edx, bf16 | tile | int8) || (xcr0 & XCR0_AMX) != XCR0_AMX) return false;
#if defined(__linux__) && defined(SYS_arch_prctl)
  // Linux gives tile data only to a process that requests it; its threads inherit the permission.
  const long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

vlm_vendor vlm_processor_vendor(void) {
  unsigned a, name[3];
  if (!__get_cpuid(0, &a, &name[0], &name[2], &name[1])) return VLM_VENDOR_OTHER;
  if (!memcmp(name, "GenuineIntel", sizeof name)) return VLM_VENDOR_INTEL;
  if (!memcmp(name, "AuthenticAMD", sizeof name)) return VLM_VENDOR_AMD;
  return memcmp(name, "HygonGenuine", sizeof name) ? VLM_VENDOR_OTHER : VLM_VENDOR_AMD;
}

unsigned vlm_detect_features(void) {
  unsigned a, b, c, d, b7, c7, d7;
  const unsigned ssse3 = 1u << 9, fma = 1u << 12, sse41 = 1u << 19, osxsave = 1u << 27;
  const unsigned f16c = 1u << 29;
  // SSE's registers are saved wherever x86-64 runs.
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, ssse3 | sse41)) return 0;
  unsigned features = VLM_FEATURE_SSE41;
  if (!all_set(c, fma | osxsave | f16c)) return features;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return features;

  const uint64_t xcr0 = read_xcr0();
  const unsigned avx2 = 1u << 5;
  if (!all_set(b7, avx2) || (xcr0 & XCR0_AVX) != XCR0_AVX) return features;

  features |= VLM_FEATURE_AVX2;
  unsigned a71 = 0;
  const unsigned avx_vnni = 1u << 4, avx512_bf16 = 1u << 5;
  // Leaf 7 says in EAX which subleaf is its last.
  if (a >= 1 && __get_cpuid_count(7, 1, &a71, &b, &c, &d) && all_set(a71, avx_vnni))
    features |= VLM_FEATURE_AVXVNNI;

  const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  if (!all_set(b7, f | dq | bw | vl) || (xcr0 & XCR0_AVX512) != XCR0_AVX512) return features;
  features |= VLM_FEATURE_AVX512;
  if (all_set(c7, vnni)) features |= VLM_FEATURE_AVX512VNNI;
  if (all_set(a71, avx512_bf16)) features |= VLM_FEATURE_AVX512BF16;
  // Permission is requested only where kernels with tiles can run.
  const unsigned both = VLM_FEATURE_AVX512VNNI | VLM_FEATURE_AVX512BF16;
  if (all_set(features, both) && has_amx(d7, xcr0)) features |= VLM_FEATURE_AMX;
  return features;
}

#endif
