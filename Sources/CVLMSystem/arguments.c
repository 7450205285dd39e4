#define _GNU_SOURCE
#include "vlm_system.h"

#include <sched.h>

static int argument_count;
static char **argument_list;

// The loader of glibc hands a program's arguments to its constructors. Swift's own way to them reads
// /proc, which need not be there, and repairs what is no UTF-8.
__attribute__((constructor)) static void remember_arguments(int count, char **list, char **unused) {
  (void)unused;
  argument_count = count;
  argument_list = list;
}

int vlm_argument_count(void) { return argument_count; }

const char *vlm_argument(int index) {
  return index >= 0 && index < argument_count ? argument_list[index] : NULL;
}

int vlm_allowed_processors(void) {
  // Room for 65,536: the system refuses a mask that is shorter than its own.
  const size_t bytes = CPU_ALLOC_SIZE(65536);
  cpu_set_t *set = CPU_ALLOC(65536);
  if (set == NULL) return 0;
  CPU_ZERO_S(bytes, set);
  int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
  CPU_FREE(set);
  return count;
}
