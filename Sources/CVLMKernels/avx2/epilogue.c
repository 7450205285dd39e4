// Contract and body: lanes/epilogue.inc.
#if defined(__x86_64__)

#include "avx2.h"
#include "lanes.h"

#include "../lanes/epilogue.inc"

#endif
