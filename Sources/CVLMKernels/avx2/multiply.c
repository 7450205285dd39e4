// Contract and body: lanes/multiply.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/multiply.inc"

#endif
