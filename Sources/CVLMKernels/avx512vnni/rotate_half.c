// Contract and body: lanes/rotate_half.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/rotate_half.inc"

#endif
