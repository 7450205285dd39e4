// Contract and body: lanes/attention.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/attention.inc"

#endif
