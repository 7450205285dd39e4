// Contract and body: lanes/depthwise.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/depthwise.inc"

#endif
