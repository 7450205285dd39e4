// Contract and body: lanes/layer_norm.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/layer_norm.inc"

#endif
