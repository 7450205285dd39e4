// Contract and body: lanes/add_outliers.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/add_outliers.inc"

#endif
