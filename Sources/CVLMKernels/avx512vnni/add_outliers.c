// Contract and body: lanes/add_outliers.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/add_outliers.inc"

#endif
