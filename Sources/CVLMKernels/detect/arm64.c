// Which ARM sets this machine can run. Armv8.0 always has NEON; Linux names the rest, and only what
// it lets programs use.
#if defined(__aarch64__)

#include "../internal.h"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

bool vlm_machine_has(vlm_isa isa) {
#if defined(__linux__)
  // The kernel's numbers, for libraries whose headers are older.
  const bool dotprod = getauxval(AT_HWCAP) & 1ul << 20;
  const bool i8mm = getauxval(AT_HWCAP2) & 1ul << 13;
#else
  const bool dotprod = false, i8mm = false;
#endif
  switch (isa) {
  case VLM_ISA_NEON: return true;
  case VLM_ISA_NEON_DOTPROD: return dotprod;
  case VLM_ISA_NEON_I8MM: return dotprod && i8mm;
  default: return false;
  }
}

#endif
