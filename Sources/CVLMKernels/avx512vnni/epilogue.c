// Contract and body: lanes/epilogue.inc.
#if defined(__x86_64__)

#include "avx512vnni.h"
#include "lanes.h"

#include "../lanes/epilogue.inc"

#endif
