// OpenBLAS, loaded when the first f32 matrix is multiplied.
//
// It is not linked: at load it starts a thread per processor and takes memory for each, which no
// model without f32 matrices needs, and on which ours would pile up. A program that sets
// OPENBLAS_NUM_THREADS=1 as it starts is spared them; products run on their caller's thread anyhow.
// Where it is not installed, or address space is limited, our own kernels multiply.
#ifndef VLM_BLAS_H
#define VLM_BLAS_H

#include <stddef.h>

/// Loads the library once; any thread may call. NULL, or why it cannot be had: the loader's words.
const char *vlm_blas_load(void);

/// Begins to load it on a thread of its own, for a caller that has other things to do before it
/// needs the library; vlm_blas_load waits for it.
void vlm_blas_begin_load(void);

/// "SkylakeX" …: the kernels that OpenBLAS uses; NULL before a successful load.
const char *vlm_blas_core(void);

/// y[m][n] = sum over k of x[m][k] * w[n][k], or added to what y holds; rows are x_stride, k and
/// y_stride elements apart. vlm_blas_load has returned NULL. Runs on the calling thread.
void vlm_sgemm(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
               int adds, float *y, size_t y_stride);

#endif
