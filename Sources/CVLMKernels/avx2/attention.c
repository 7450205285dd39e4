// Contract and body: lanes/attention.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/attention.inc"

#endif
