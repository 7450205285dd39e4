// The kernels of this set, one op and dtype a file; table.c gathers them.
#ifndef VLM_NEON_H
#define VLM_NEON_H

#include "../declare.h"

VLM_DECLARE_SET(neon)
VLM_DECLARE_FINISH(neon)

#endif
