// Contract and body: lanes/depthwise.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/depthwise.inc"

#endif
