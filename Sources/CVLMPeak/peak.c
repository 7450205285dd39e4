// The list of loops, and the one that reads memory.
#include "loops.h"

#include <pthread.h>
#include <string.h>

static vlm_peak_loop loops[VLM_PEAK_MAXIMUM_LOOPS];
static size_t loop_count;

static void find_loops(void) { loop_count = vlm_machine_peak_loops(loops); }

const vlm_peak_loop *vlm_peak_loops(size_t *count) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_loops);
  *count = loop_count;
  return loops;
}

#if !defined(__x86_64__) && !defined(__aarch64__)
size_t vlm_machine_peak_loops(vlm_peak_loop *none) { return (void)none, 0; }
#endif

typedef uint64_t lanes __attribute__((vector_size(64), aligned(16)));

uint64_t vlm_peak_read(const void *memory, size_t bytes) {
  lanes sum[4] = {{0}, {0}, {0}, {0}};
  const char *p = memory;
  for (size_t i = 0; i + 256 <= bytes; i += 256) {
    for (int j = 0; j < 4; j++) {
      lanes value;
      memcpy(&value, p + i + 64 * j, sizeof value);
      sum[j] += value;
    }
  }
  sum[0] += sum[1] + sum[2] + sum[3];
  uint64_t total = 0;
  for (int i = 0; i < 8; i++) total += sum[0][i];
  return total;
}
