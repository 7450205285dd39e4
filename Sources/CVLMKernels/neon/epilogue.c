// Contract and body: lanes/epilogue.inc.
#if defined(__aarch64__)

#include "neon.h"
#include "lanes.h"

#include "../lanes/epilogue.inc"

#endif
