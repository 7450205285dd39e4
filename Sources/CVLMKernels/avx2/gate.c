// Contract and body: lanes/gate.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/gate.inc"

#endif
