// Contract and body: lanes/channels.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/channels.inc"

#endif
