// Included once per instruction set: the q4 panel, W = scale * (step * nibble + offset).
//
// Per output, a few scales are tried; for each, every group of 32 inputs looks for the integer
// step and offset that leave the least squared error, weighted by importance. `x` below is the
// group in units of the scale tried, so what it is compared with are small integers.

typedef struct q4_choice {
  lanes step, offset, error;
} q4_choice;

typedef struct q4_group {
  const lanes *x;           // [VLM_BLOCK_INPUTS]
  const float *importance;  // [VLM_BLOCK_INPUTS]
  int count;                // inputs of the group that exist
  float weight;             // sum of importance
} q4_group;

VLM_INLINE lanes clamp_lanes(lanes a, lanes low, lanes high) {
  return min_lanes(max_lanes(a, low), high);
}

/// The code of x is round((x - offset) * inverse(step)) in 0...15, for every use of a step.
VLM_INLINE lanes inverse_of(lanes step) {
  return step > 0 ? 1.0f / (step > 0 ? step : (lanes)1.0f) : (lanes)0.0f;
}
VLM_INLINE lanes q4_code(lanes x, lanes offset, lanes inverse) {
  return round_lanes(clamp_lanes((x - offset) * inverse, (lanes)0.0f, (lanes)15.0f));
}
VLM_INLINE lanes q4_clamp_offset(lanes offset, lanes step) {
  return clamp_lanes(offset, (lanes)-127.0f, 127.0f - 15.0f * step);
}

/// Weighted squared error of a group under a step and offset; `residual` gets the weighted sum of
/// what is left over, which says where the offset should have been.
VLM_INLINE lanes q4_try(const q4_group *g, lanes step, lanes offset, lanes *residual) {
  const lanes inverse = inverse_of(step);
  lanes error = 0, left = 0;
  for (int k = 0; k < g->count; k++) {
    const lanes e = g->x[k] - (offset + step * q4_code(g->x[k], offset, inverse));
    const lanes weighted = e * g->importance[k];
    error += weighted * e;
    left += weighted;
  }
  *residual = left;
  return error;
}

VLM_INLINE void q4_keep(q4_choice *best, lanes step, lanes offset, lanes error) {
  const int_lanes better = error < best->error;
  best->step = better ? step : best->step;
  best->offset = better ? offset : best->offset;
  best->error = better ? error : best->error;
}

/// Tries `steps` steps downwards from the one that covers the whole range (and `above` beyond it),
/// each with the offset that centres it and with that offset improved `rounds` times.
VLM_INLINE q4_choice q4_search(const q4_group *g, int above, int steps, int rounds) {
  lanes low = g->x[0], high = g->x[0];
  for (int k = 1; k < g->count; k++) {
    low = min_lanes(low, g->x[k]);
    high = max_lanes(high, g->x[k]);
  }
  const lanes centre = (low + high) * 0.5f;
  const lanes exact = (high - low) * (1.0f / 15.0f);
  lanes widest = round_lanes(exact);
  widest = widest < exact ? widest + 1.0f : widest;
  const float per_weight = 1.0f / g->weight;

  q4_choice best = {0, 0, (lanes)__FLT_MAX__};
  for (int i = 0; i < steps; i++) {
    const lanes step = clamp_lanes(widest + (float)(above - i), (lanes)0.0f, (lanes)16.0f);
    lanes offset = q4_clamp_offset(round_lanes(centre - 7.5f * step), step);
    for (int round = 0;; round++) {
      lanes residual;
      const lanes error = q4_try(g, step, offset, &residual);
      q4_keep(&best, step, offset, error);
      if (round == rounds) break;
      offset = q4_clamp_offset(round_lanes(offset + residual * per_weight), step);
    }
  }
  return best;
}

/// The smallest step that covers the range, from the group's minimum up.
VLM_INLINE q4_choice q4_min_max(const q4_group *g) {
  lanes low = g->x[0], high = g->x[0];
  for (int k = 1; k < g->count; k++) {
    low = min_lanes(low, g->x[k]);
    high = max_lanes(high, g->x[k]);
  }
  const lanes exact = (high - low) * (1.0f / 15.0f);
  lanes step = round_lanes(exact);
  step = clamp_lanes(step < exact ? step + 1.0f : step, (lanes)0.0f, (lanes)16.0f);
  return (q4_choice){step, q4_clamp_offset(round_lanes(low), step), 0};
}
