// Included once per instruction set: the q4 panel, W = scale * (step * nibble + offset).
//
// Per output, a few scales are tried; for each, every group of 32 inputs looks for the integer
// step and offset that leave the least squared error, weighted by importance. `x` below is the
// group in units of the scale tried, so what it is compared with are small integers.

typedef struct q4_choice {
  lanes step, offset, error;
} q4_choice;

/// Puts values in units of a scale: by two factors, since the inverse of the smallest is infinite.
typedef struct q4_unit {
  lanes enlarge, inverse;
} q4_unit;

VLM_INLINE q4_unit q4_unit_of(lanes scale) {
  const lanes enlarge = scale < 0x1p-64f ? (lanes)0x1p64f : (lanes)1.0f;
  return (q4_unit){enlarge, scale > 0 ? 1.0f / (scale * enlarge) : (lanes)1.0f};
}
VLM_INLINE lanes q4_in(q4_unit unit, lanes w) { return w * unit.enlarge * unit.inverse; }

typedef struct q4_group {
  const lanes *x;           // [VLM_BLOCK_INPUTS]
  const float *importance;  // [VLM_BLOCK_INPUTS]
  int count;                // inputs of the group that exist
  float weight;             // sum of importance
} q4_group;

VLM_INLINE lanes clamp_lanes(lanes a, lanes low, lanes high) {
  return min_lanes(max_lanes(a, low), high);
}

/// The code of x is round((x - offset) * inverse of step), clamped to 0...15.
VLM_INLINE lanes inverse_of(lanes step) {
  return step > 0 ? 1.0f / (step > 0 ? step : (lanes)1.0f) : (lanes)0.0f;
}
VLM_INLINE lanes q4_code(lanes above, lanes inverse) {
  return round_lanes(clamp_lanes(above * inverse, (lanes)0.0f, (lanes)15.0f));
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
    const lanes above = g->x[k] - offset;
    const lanes e = above - step * q4_code(above, inverse);
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

VLM_INLINE void q4_range(const q4_group *g, lanes *low, lanes *high) {
  lanes least = g->x[0], most = g->x[0];
  for (int k = 1; k < g->count; k++) {
    least = min_lanes(least, g->x[k]);
    most = max_lanes(most, g->x[k]);
  }
  *low = least;
  *high = most;
}

/// The grid of one search: `steps` steps downwards from `above` more than the one that covers the
/// whole range; for each step, `starts` offsets `spread` steps apart around the one that centres it;
/// and, with `moves`, the best of those moved to where its residual says it should be.
typedef struct q4_grid {
  int above, steps, starts;
  float spread;
  int moves;
} q4_grid;

VLM_INLINE float q4_start(q4_grid grid, int index) {
  return grid.spread * ((float)index - 0.5f * (float)(grid.starts - 1));
}

/// The error is a wave along the offset with a crest every step, so moving an offset by the
/// residual finds the nearest valley only; the best of several starts is near the deepest.
VLM_INLINE q4_choice q4_search(const q4_group *g, q4_grid grid) {
  lanes low, high;
  q4_range(g, &low, &high);
  const lanes exact = (high - low) * (1.0f / 15.0f);
  lanes widest = round_lanes(exact);
  widest = min_lanes(widest < exact ? widest + 1.0f : widest, (lanes)16.0f);
  const float per_weight = 1.0f / g->weight;

  q4_choice best = {0, 0, (lanes)__FLT_MAX__};
  for (int i = grid.above - grid.steps + 1; i <= grid.above; i++) {  // smallest first: wins a tie
    const lanes step = clamp_lanes(widest + (float)i, (lanes)0.0f, (lanes)16.0f);
    const lanes centred = (low + high) * 0.5f - 7.5f * step;
    q4_choice start = {step, 0, (lanes)__FLT_MAX__};
    lanes left = 0, residual;
    for (int j = 0; j < grid.starts; j++) {
      const lanes moved = centred + step * q4_start(grid, j);
      const lanes offset = q4_clamp_offset(round_lanes(moved), step);
      const lanes error = q4_try(g, step, offset, &residual);
      left = error < start.error ? residual : left;
      q4_keep(&start, step, offset, error);
    }
    q4_keep(&best, step, start.offset, start.error);
    if (!grid.moves) continue;
    const lanes offset = q4_clamp_offset(round_lanes(start.offset + left * per_weight), step);
    q4_keep(&best, step, offset, q4_try(g, step, offset, &residual));
  }
  return best;
}

/// The smallest step that covers the range, from the group's minimum up.
VLM_INLINE q4_choice q4_min_max(const q4_group *g) {
  lanes low, high;
  q4_range(g, &low, &high);
  const lanes exact = (high - low) * (1.0f / 15.0f);
  lanes step = round_lanes(exact);
  step = clamp_lanes(step < exact ? step + 1.0f : step, (lanes)0.0f, (lanes)16.0f);
  return (q4_choice){step, q4_clamp_offset(round_lanes(low), step), 0};
}
