#define _GNU_SOURCE
#include "vlm_machine.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

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

int vlm_current_processor(void) { return sched_getcpu(); }

int vlm_can_allocate(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return 0;
  }
  munmap(memory, bytes);
  return 1;
}

size_t vlm_allocated_bytes(void) {
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  // By name: a program that was compiled here may run with an older C library, see scripts/build-tarball.
  struct mallinfo2 (*const information)(void) =
      (struct mallinfo2(*)(void))dlsym(RTLD_DEFAULT, "mallinfo2");
  if (information == NULL) return 0;
  // Of all arenas, and of blocks that have a mapping of their own.
  const struct mallinfo2 state = information();
  return state.uordblks + state.hblkhd;
#else
  return 0;
#endif
}

static void (*_Atomic exhausted_callback)(size_t);

void vlm_on_exhausted_memory(void (*callback)(size_t)) { exhausted_callback = callback; }

void *vlm_allocate(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes > 0 ? bytes : 1) == 0) {
    return memory;
  }
  void (*callback)(size_t) = exhausted_callback;
  if (callback != NULL) callback(bytes);
  return NULL;
}
