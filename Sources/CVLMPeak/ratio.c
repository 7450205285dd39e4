// Which of two loops is faster, in the time that a program can spend on it when it starts.
#define _POSIX_C_SOURCE 199309L // clock_gettime

#include "vlm_peak.h"

#include <time.h>

static double seconds_of(const vlm_peak_loop *loop, size_t rounds) {
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  loop->run(rounds);
  clock_gettime(CLOCK_MONOTONIC, &end);
  return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
}

// Some 50 to 100 microseconds a turn: wide vectors run slowly for the first 20 of their use.
enum { TURNS = 5, LEAST_ROUNDS = 64 };
static const double turn_seconds = 75e-6;

/// Rounds that take about a turn.
static size_t rounds_of(const vlm_peak_loop *loop) {
  size_t rounds = LEAST_ROUNDS;
  while (rounds < 1u << 24 && seconds_of(loop, rounds) < turn_seconds) rounds *= 2;
  return rounds;
}

double vlm_peak_ratio(const vlm_peak_loop *a, const vlm_peak_loop *b) {
  const vlm_peak_loop *const loops[2] = {a, b};
  size_t rounds[2];
  double best[2] = {0, 0};
  for (int i = 0; i < 2; i++) rounds[i] = rounds_of(loops[i]);
  // In turns, so that a slow moment falls on both; the best of each counts.
  for (int turn = 0; turn < TURNS; turn++)
    for (int i = 0; i < 2; i++) {
      const double work = loops[i]->operations_per_round * (double)rounds[i];
      const double rate = work / seconds_of(loops[i], rounds[i]);
      if (rate > best[i]) best[i] = rate;
    }
  return best[1] > 0 ? best[0] / best[1] : 0;
}
