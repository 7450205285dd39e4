// Contract and body: lanes/layer_norm.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/layer_norm.inc"

#endif
