// Contract and body: lanes/add_outliers.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/add_outliers.inc"

#endif
