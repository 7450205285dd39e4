// Contract and body: lanes/activation.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/activation.inc"

#endif
