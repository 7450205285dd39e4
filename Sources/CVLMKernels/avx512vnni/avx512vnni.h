// The kernels of this set, one op and dtype a file; table.c gathers them.
#ifndef VLM_AVX512VNNI_H
#define VLM_AVX512VNNI_H

#include "../declare.h"

VLM_DECLARE_SET(avx512vnni)
VLM_DECLARE_FINISH(avx512vnni)

#endif
