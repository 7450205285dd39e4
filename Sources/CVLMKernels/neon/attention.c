// Contract and body: lanes/attention.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/attention.inc"

#endif
