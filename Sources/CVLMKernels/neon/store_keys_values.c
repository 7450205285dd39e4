// Contract and body: lanes/store_keys_values.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/store_keys_values.inc"

#endif
