// Contract and body: lanes/rms_norm.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/rms_norm.inc"

#endif
