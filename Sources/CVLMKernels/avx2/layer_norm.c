// Contract and body: lanes/layer_norm.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/layer_norm.inc"

#endif
