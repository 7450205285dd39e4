// Contract and body: lanes/store_keys_values.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/store_keys_values.inc"

#endif
