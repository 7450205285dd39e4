// What malloc keeps for itself.
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "vlm_command.h"

void vlm_limit_heap(int arenas) {
  // Whoever set them knows better.
  if (getenv("MALLOC_ARENA_MAX") != NULL || getenv("GLIBC_TUNABLES") != NULL) return;
#ifdef M_ARENA_MAX
  struct rlimit space;
  // vlm_install_fault_handler has left one arena then.
  if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) {
    mallopt(M_ARENA_MAX, arenas);
  }
#endif
#ifdef M_MMAP_THRESHOLD
  // By itself the first of them grows to 32 MiB with what is freed, and the second to twice that.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}
