// What the parts of this target share.
#ifndef VLM_PEAK_LOOPS_H
#define VLM_PEAK_LOOPS_H

#include "vlm_peak.h"

enum { VLM_PEAK_MAXIMUM_LOOPS = 16 };

/// Fills `loops` with what this machine can run, and returns how many.
size_t vlm_machine_peak_loops(vlm_peak_loop *loops);

#endif
