// Contract and body: lanes/rms_norm.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/rms_norm.inc"

#endif
