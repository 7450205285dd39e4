// Contract and body: lanes/quantize.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/quantize.inc"

#endif
