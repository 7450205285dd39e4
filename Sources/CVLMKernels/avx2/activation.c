// Contract and body: lanes/activation.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/activation.inc"

#endif
