// The kernels of this set, one op and dtype a file; table.c gathers them.
#ifndef VLM_AVX2_H
#define VLM_AVX2_H

#include "../declare.h"

VLM_DECLARE_SET(avx2)
VLM_DECLARE_FINISH(avx2)

#endif
