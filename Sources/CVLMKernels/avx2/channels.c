// Contract and body: lanes/channels.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/channels.inc"

#endif
