#define _GNU_SOURCE
#include "vlm_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

// cblas.h's values; the header is not included because Debian keeps it in an alternative's folder.
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

typedef void sgemm_function(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c,
                            int ldc);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure;
static const char *core_name;
static sgemm_function *sgemm;

// ---- Limited address space ----
//
// OpenBLAS takes 128 MB at the first product, newer ones as they are loaded, and as much again for
// each more product that runs at once. Where it cannot have them it tries again for ever.

#define BLAS_BUFFER ((size_t)144 << 20)
// What its mapping takes, and the libraries that it brings.
#define BLAS_LIBRARY ((size_t)64 << 20)

static int is_limited, lacks_memory;
static _Atomic int running;
// Products that may run at once: for so many there was memory when they first did.
static _Atomic int granted;
static pthread_mutex_t granting = PTHREAD_MUTEX_INITIALIZER;

static int can_allocate(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return 0;
  }
  munmap(memory, bytes);
  return 1;
}

static void multiply(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
                     float beta, float *y, size_t y_stride) {
  sgemm(ROW_MAJOR, NO_TRANS, TRANS, (int)m, (int)n, (int)k, 1, x, (int)x_stride, w, (int)k, beta, y,
        (int)y_stride);
}

static void multiply_within_limits(size_t m, size_t n, size_t k, const float *x, size_t x_stride,
                                   const float *w, float beta, float *y, size_t y_stride) {
  int count = atomic_fetch_add(&running, 1) + 1;
  if (count <= atomic_load(&granted)) {
    multiply(m, n, k, x, x_stride, w, beta, y, y_stride);
  } else {
    // The product is inside too, so that its memory is taken before the next one asks.
    pthread_mutex_lock(&granting);
    if (count > atomic_load(&granted)) {
      if (!can_allocate(BLAS_BUFFER)) {
        abort();
      }
      atomic_store(&granted, count);
    }
    multiply(m, n, k, x, x_stride, w, beta, y, y_stride);
    pthread_mutex_unlock(&granting);
  }
  atomic_fetch_sub(&running, 1);
}

static int has_limit(void) {
  struct rlimit space;
  return getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY;
}

static void load(void) {
  is_limited = has_limit();
  if (is_limited && !can_allocate(BLAS_LIBRARY + BLAS_BUFFER)) {
    lacks_memory = 1;
    failure = "not enough memory";
    return;
  }
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    failure = dlerror();
    if (failure == NULL) failure = "libopenblas.so.0: cannot be loaded";
    return;
  }
  sgemm = (sgemm_function *)dlsym(library, "cblas_sgemm");
  if (sgemm == NULL) {
    failure = "libopenblas.so.0: has no cblas_sgemm";
    return;
  }
  const char *(*core)(void) = (const char *(*)(void))dlsym(library, "openblas_get_corename");
  core_name = core == NULL ? "unknown" : core();
}

// The library reads the environment as it is loaded; no thread may change that beside another.
static void set_environment(void) { setenv("OPENBLAS_NUM_THREADS", "1", 1); }
static pthread_once_t environment = PTHREAD_ONCE_INIT;

const char *vlm_blas_load(void) {
  pthread_once(&environment, set_environment);
  pthread_once(&once, load);
  return failure;
}

int vlm_blas_lacks_memory(void) { return lacks_memory; }

static void *load_beside(void *unused) {
  (void)unused;
  pthread_once(&once, load);
  return NULL;
}

void vlm_blas_begin_load(void) {
  pthread_once(&environment, set_environment);
  // What is asked for before the loading has to be there still.
  if (has_limit()) return;
  pthread_t thread;
  // Without a thread the first vlm_blas_load loads it.
  if (pthread_create(&thread, NULL, load_beside, NULL) == 0) pthread_detach(thread);
}

const char *vlm_blas_core(void) { return core_name; }

static void product(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
                    float beta, float *y, size_t y_stride) {
  if (is_limited) {
    multiply_within_limits(m, n, k, x, x_stride, w, beta, y, y_stride);
  } else {
    multiply(m, n, k, x, x_stride, w, beta, y, y_stride);
  }
}

void vlm_sgemm(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
               float *y, size_t y_stride) {
  product(m, n, k, x, x_stride, w, 0, y, y_stride);
}

void vlm_sgemm_add(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
                   float *y, size_t y_stride) {
  product(m, n, k, x, x_stride, w, 1, y, y_stride);
}
