// Contract and body: lanes/rotate_half.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/rotate_half.inc"

#endif
