// OpenBLAS, loaded when the first f32 matrix is multiplied.
//
// It is not linked: at load it starts a thread per processor and takes memory for each, which no
// q8 or q4 model needs, and on which ours would pile up. Loading it ourselves lets us say one
// thread first, as every product runs on its caller's.
#ifndef VLM_BLAS_H
#define VLM_BLAS_H

#include <stddef.h>

/// Loads the library once; any thread may call. NULL, or why it cannot be had: the loader's words.
const char *vlm_blas_load(void);

/// Whether it was not loaded because address space is limited and too little of it left.
int vlm_blas_lacks_memory(void);

/// Begins to load it on a thread of its own, for a caller that has other things to do before it
/// needs the library; vlm_blas_load waits for it. Where address space is limited, it does nothing.
void vlm_blas_begin_load(void);

/// "SkylakeX" …: the kernels that OpenBLAS uses; NULL before a successful load.
const char *vlm_blas_core(void);

/// y[m][n] = sum over k of x[m][k] * w[n][k]; rows are x_stride, k and y_stride elements apart.
/// vlm_blas_load has returned NULL. Runs on the calling thread. Aborts where address space is limited
/// and OpenBLAS would wait for memory for ever.
void vlm_sgemm(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
               float *y, size_t y_stride);

/// The same, added to what y holds.
void vlm_sgemm_add(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
                   float *y, size_t y_stride);

#endif
