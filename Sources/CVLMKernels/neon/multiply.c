// Contract and body: lanes/multiply.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/multiply.inc"

#endif
