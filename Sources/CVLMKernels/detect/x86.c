// Which x86 sets this machine can run. A set needs the processor's bits (CPUID), the operating
// system's saving of its registers (XCR0), and for AMX the system's permission to use tile data.
#if defined(__x86_64__)

#define _DEFAULT_SOURCE // syscall

#include "../internal.h"

#include <cpuid.h>
#include <stdatomic.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
  ASKED = 1,
  HAS_AVX2 = 2,
  HAS_AVXVNNI = 4,
  HAS_AVX512VNNI = 8,
  HAS_AVX512BF16 = 16,
  HAS_AMX = 32
};

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
  // Linux gives tile data only to a process that asks; its threads inherit the answer.
  const long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

static unsigned ask(void) {
  unsigned a, b, c, d, b7, c7, d7;
  const unsigned fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, fma | osxsave | f16c)) return ASKED;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return ASKED;

  const uint64_t xcr0 = read_xcr0();
  const unsigned avx2 = 1u << 5;
  if (!all_set(b7, avx2) || (xcr0 & XCR0_AVX) != XCR0_AVX) return ASKED;

  unsigned has = ASKED | HAS_AVX2, a71 = 0;
  const unsigned avx_vnni = 1u << 4, avx512_bf16 = 1u << 5;
  // Leaf 7 says in EAX which subleaf is its last.
  if (a >= 1 && __get_cpuid_count(7, 1, &a71, &b, &c, &d) && all_set(a71, avx_vnni))
    has |= HAS_AVXVNNI;

  const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  if (!all_set(b7, f | dq | bw | vl) || !all_set(c7, vnni)) return has;
  if ((xcr0 & XCR0_AVX512) != XCR0_AVX512) return has;

  has |= HAS_AVX512VNNI;
  if (!all_set(a71, avx512_bf16)) return has;
  // Every processor with tiles has these products as well.
  return has | HAS_AVX512BF16 | (has_amx(d7, xcr0) ? HAS_AMX : 0);
}

bool vlm_machine_has(vlm_isa isa) {
  // CPUID traps under a hypervisor, so the answer is kept; asking twice at once does no harm.
  static atomic_uint answer;
  unsigned has = atomic_load_explicit(&answer, memory_order_relaxed);
  if (!has) {
    has = ask();
    atomic_store_explicit(&answer, has, memory_order_relaxed);
  }
  switch (isa) {
  case VLM_ISA_AVX2: return has & HAS_AVX2;
  case VLM_ISA_AVXVNNI: return has & HAS_AVXVNNI;
  case VLM_ISA_AVX512VNNI: return has & HAS_AVX512VNNI;
  case VLM_ISA_AVX512BF16: return has & HAS_AVX512BF16;
  case VLM_ISA_AMX: return has & HAS_AMX;
  default: return false;
  }
}

#endif
