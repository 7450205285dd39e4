// Contract and body: lanes/quantize.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/quantize.inc"

#endif
