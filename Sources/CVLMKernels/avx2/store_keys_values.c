// Contract and body: lanes/store_keys_values.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/store_keys_values.inc"

#endif
