// Random data and counted checks for the self tests.
#ifndef KTEST_SUPPORT_H
#define KTEST_SUPPORT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vlm_kernels.h"

typedef struct counts {
  long passed, failed;
} counts;

static counts total;

/// Counts a check and prints the first few that fail.
static void check(int ok, const char *isa, const char *what, size_t a, size_t b, size_t c) {
  if (ok) {
    total.passed++;
    return;
  }
  if (total.failed++ < 20) printf("FAILED %s: %s at (%zu, %zu, %zu)\n", isa, what, a, b, c);
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_bits(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static int random_int(int low, int high) {
  return low + (int)(random_bits() % (uint32_t)(high - low + 1));
}

/// Uniform in -1 ..< 1.
static float random_float(void) { return (float)random_bits() / 2147483648.0f - 1; }

/// Memory of exactly this size, so that a sanitizer sees a read past its end; never NULL.
static void *memory(size_t bytes) {
  void *p = malloc(bytes ? bytes : 1);
  if (!p) exit(2);
  return p;
}

static void *aligned_memory(size_t bytes) {
  void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!p) exit(2);
  return p;
}

static float *random_floats(size_t count, float size) {
  float *p = memory(count * sizeof *p);
  for (size_t i = 0; i < count; i++) p[i] = size * random_float();
  return p;
}

#endif
