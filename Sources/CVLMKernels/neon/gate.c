// Contract and body: lanes/gate.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/gate.inc"

#endif
