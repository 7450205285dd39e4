// Features of 64-bit ARM. Armv8.0 always has NEON; Linux names the rest, and only what it lets
// programs use.
#if defined(__aarch64__)

#include "features.h"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

unsigned vlm_detect_features(void) {
  unsigned features = VLM_FEATURE_NEON;
#if defined(__linux__)
  // The kernel's numbers, for libraries whose headers are older.
  if (getauxval(AT_HWCAP) & 1ul << 20) features |= VLM_FEATURE_DOTPROD;
  if (getauxval(AT_HWCAP2) & 1ul << 13) features |= VLM_FEATURE_I8MM;
#endif
  return features;
}

#endif
