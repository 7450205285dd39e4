// The schemes that are multiplied by u8 activations, and their entries in a kernel table.
#ifndef KTEST_SCHEMES_H
#define KTEST_SCHEMES_H

#include <stddef.h>

#include "support.h"

typedef void (*gemm_function)(const vlm_gemm *);
typedef void (*outlier_function)(const vlm_gemm *, size_t, const vlm_outlier *);

typedef struct u8_scheme {
  const char *name;
  size_t bits;               // of a code: 8, or 3 to 6
  size_t gemm, add_outliers; // where in vlm_kernels
} u8_scheme;

#define U8_SCHEME(name, bits) \
  {#name, bits, offsetof(vlm_kernels, gemm_u8_##name), offsetof(vlm_kernels, add_outliers_##name)}
static const u8_scheme u8_schemes[] = {
    U8_SCHEME(q8, 8), U8_SCHEME(q3, 3), U8_SCHEME(q4, 4), U8_SCHEME(q5, 5), U8_SCHEME(q6, 6)};
enum { U8_SCHEMES = sizeof u8_schemes / sizeof *u8_schemes };

static gemm_function gemm_of(const vlm_kernels *k, const u8_scheme *s) {
  gemm_function f;
  memcpy(&f, (const char *)k + s->gemm, sizeof f);
  return f;
}

static outlier_function outliers_of(const vlm_kernels *k, const u8_scheme *s) {
  outlier_function f;
  memcpy(&f, (const char *)k + s->add_outliers, sizeof f);
  return f;
}

static size_t u8_panel_bytes(size_t bits, size_t inputs) {
  return bits == 8 ? vlm_q8_panel_bytes(inputs) : vlm_qn_panel_bytes(bits, inputs);
}

#endif
