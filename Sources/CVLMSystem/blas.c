#define _GNU_SOURCE
#include "vlm_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
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

// OpenBLAS takes 128 MB as it is loaded or at the first product, and as much again for each more
// product that runs at once. Where it cannot have them it tries again for ever.
static int has_limit(void) {
  struct rlimit space;
  return getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY;
}

static void load(void) {
  if (has_limit()) {
    failure = "address space is limited (ulimit -v), and it would wait for memory for ever";
    return;
  }
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    // The text belongs to the thread, until its next call of this kind.
    static char reason[256];
    const char *text = dlerror();
    snprintf(reason, sizeof reason, "%s", text ? text : "libopenblas.so.0: cannot be loaded");
    failure = reason;
    return;
  }
  // Each product runs on its caller's thread.
  void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
  if (set_threads != NULL) set_threads(1);
  const char *(*core)(void) = (const char *(*)(void))dlsym(library, "openblas_get_corename");
  core_name = core == NULL ? "unknown" : core();
  sgemm = (sgemm_function *)dlsym(library, "cblas_sgemm");
  if (sgemm == NULL) failure = "libopenblas.so.0: has no cblas_sgemm";
}

const char *vlm_blas_load(void) {
  pthread_once(&once, load);
  return failure;
}

static void *load_beside(void *unused) {
  (void)unused;
  pthread_once(&once, load);
  return NULL;
}

void vlm_blas_begin_load(void) {
  static atomic_flag has_begun = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&has_begun)) return;
  pthread_t thread;
  // Without a thread the first product loads it.
  if (pthread_create(&thread, NULL, load_beside, NULL) == 0) pthread_detach(thread);
}

const char *vlm_blas_core(void) { return core_name; }

void vlm_sgemm(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const float *w,
               int adds, float *y, size_t y_stride) {
  sgemm(ROW_MAJOR, NO_TRANS, TRANS, (int)m, (int)n, (int)k, 1, x, (int)x_stride, w, (int)k,
        adds ? 1 : 0, y, (int)y_stride);
}
