// Contract and body: lanes/channels.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/channels.inc"

#endif
