// Contract and body: lanes/quantize.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/quantize.inc"

#endif
