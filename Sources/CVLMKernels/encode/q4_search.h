// Included once per instruction set, after madd.h and before q4_panel_body.h: the search of
// q4_body.h in 16-bit integers, for groups whose inputs all weigh the same.
//
// Positions are counted in 32nds of a step, so an error of rounding is off by a 64th of a step at
// most: enough to tell good choices from bad ones, and twice the lanes of f32. Integers are the
// same on every instruction set. The codes are rounded in f32 from what is chosen here.
//
// No sum overflows: |x| is at most 127 / (0.48 * 0.97), so a value is at most 146 + 60 units from
// the nearest code, and 32 * (206 * 32)^2 < 2^31.

enum {
  Q4_PAIRS = VLM_BLOCK_INPUTS / 2,
  Q4_FRACTION = 32,
  Q4_UNIT = 256,  // what absmax / 127 is cut into while scales are compared
};

/// Inputs 2k and 2k + 1 of output n side by side.
typedef struct q4_pairs {
  short_lanes at[Q4_PAIRS];
} q4_pairs;

/// A group with its least and largest value, in units of absmax / 127.
typedef struct q4_span {
  const q4_pairs *u;  // in Q4_UNITs; an odd number of inputs is followed by the last again
  lanes low, high;
  int count;
} q4_span;

/// Numbers of up to 15 bits and sign in the low half of each lane, rounded to nearest.
VLM_INLINE bit_lanes q4_fixed(lanes a) { return (bit_lanes)(a + 12582912.0f); }
VLM_INLINE short_lanes q4_beside(bit_lanes even, bit_lanes odd) {
  return (short_lanes)((even & 0xffff) | odd << 16);
}
VLM_INLINE short_lanes q4_both(lanes a) { return q4_beside(q4_fixed(a), q4_fixed(a)); }

/// What a position is off its nearest code by, in 32nds of a step; it counts from half a step below
/// the lowest code.
VLM_INLINE short_lanes q4_rest(short_lanes t) {
  short_lanes code = (t & (short_lanes)-Q4_FRACTION) | (short_lanes)(Q4_FRACTION / 2);
  const short_lanes least = Q4_FRACTION / 2, most = 15 * Q4_FRACTION + Q4_FRACTION / 2;
  code = __builtin_elementwise_max(code, least);
  code = __builtin_elementwise_min(code, most);
  return t - code;
}

enum { Q4_AT_ONCE = 3 };

/// Squared errors of a group under several offsets, in 1024ths of a squared step; at once, because
/// their sums do not wait for one another. `y` and the offsets are in 32nds of a step.
VLM_INLINE void q4_count_errors(
    const q4_pairs *y, int pairs, const lanes *offsets, int_lanes *errors) {
  short_lanes below[Q4_AT_ONCE];
  for (int i = 0; i < Q4_AT_ONCE; i++) {
    below[i] = q4_both(offsets[i]) - Q4_FRACTION / 2;
    errors[i] = 0;
  }
  for (int k = 0; k < pairs; k++) {
    for (int i = 0; i < Q4_AT_ONCE; i++) {
      const short_lanes e = q4_rest(y->at[k] - below[i]);
      errors[i] += vlm_madd(e, e);
    }
  }
}

/// The same for one offset, and the sum of the errors.
VLM_INLINE int_lanes q4_count_error(
    const q4_pairs *y, int pairs, lanes offset, int_lanes *residual) {
  const short_lanes below = q4_both(offset) - Q4_FRACTION / 2;
  int_lanes error = 0, left = 0;
  for (int k = 0; k < pairs; k++) {
    const short_lanes e = q4_rest(y->at[k] - below);
    error += vlm_madd(e, e);
    left += vlm_madd(e, (short_lanes)1);
  }
  *residual = left;
  return error;
}

/// The smallest whole step that covers a range, 16 at most.
VLM_INLINE lanes q4_covering(lanes range) {
  const lanes exact = range * (1.0f / 15.0f), rounded = round_lanes(exact);
  return min_lanes(rounded < exact ? rounded + 1.0f : rounded, (lanes)16.0f);
}

/// The squared error, in squared units of a scale, of the better of two steps: the one that covers
/// the range and the next smaller one, each centred. The scale is absmax / 127 over `inverse`.
VLM_ALONE lanes q4_compare_steps(const q4_span *g, lanes inverse) {
  const lanes low = g->low * inverse, high = g->high * inverse;
  const lanes widest = q4_covering(high - low);
  const int pairs = (g->count + 1) / 2;
  const lanes steps[2] = {max_lanes(widest - 1.0f, (lanes)1.0f), max_lanes(widest, (lanes)1.0f)};
  short_lanes factors[2], below[2];
  int_lanes errors[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    const lanes counts = (float)Q4_FRACTION / steps[i];
    const lanes centred = (low + high) * 0.5f - 7.5f * steps[i];
    const lanes offset = q4_clamp_offset(round_lanes(centred), steps[i]);
    factors[i] = q4_both(inverse * counts * (32768.0f / Q4_UNIT));
    below[i] = q4_both(offset * counts) - Q4_FRACTION / 2;
  }
  for (int k = 0; k < pairs; k++) {
    for (int i = 0; i < 2; i++) {
      const short_lanes e = q4_rest(vlm_scale(g->u->at[k], factors[i]) - below[i]);
      errors[i] += vlm_madd(e, e);
    }
  }
  const lanes small = __builtin_convertvector(errors[0], lanes) * (steps[0] * steps[0]);
  const lanes large = __builtin_convertvector(errors[1], lanes) * (steps[1] * steps[1]);
  const lanes rest = low - round_lanes(low);
  return high > low ? min_lanes(small, large) * (1.0f / (Q4_FRACTION * Q4_FRACTION))
                    : rest * rest * (float)g->count;
}

/// As q4_search with `moves`, with positions to a 32nd of a step; `starts` is a multiple of
/// Q4_AT_ONCE.
VLM_ALONE q4_choice q4_search_counted(const q4_group *g, q4_grid grid) {
  lanes low, high;
  q4_range(g, &low, &high);
  const lanes widest = q4_covering(high - low);
  const int pairs = (g->count + 1) / 2;
  const float per_count = 1.0f / (float)(2 * pairs * Q4_FRACTION);

  q4_choice best = {1, 0, (lanes)__FLT_MAX__};
  for (int i = grid.above - grid.steps + 1; i <= grid.above; i++) {
    const lanes step = clamp_lanes(widest + (float)i, (lanes)1.0f, (lanes)16.0f);
    const lanes counts = (float)Q4_FRACTION / step;
    const lanes unit = step * step * (1.0f / (Q4_FRACTION * Q4_FRACTION));
    q4_pairs y;
    for (int k = 0; k < pairs; k++) {
      const lanes even = g->x[2 * k], odd = g->x[2 * k + 1 < g->count ? 2 * k + 1 : 2 * k];
      y.at[k] = q4_beside(q4_fixed(even * counts), q4_fixed(odd * counts));
    }
    const lanes centred = (low + high) * 0.5f - 7.5f * step;
    q4_choice start = {step, 0, (lanes)__FLT_MAX__};
    for (int j = 0; j < grid.starts; j += Q4_AT_ONCE) {
      lanes offsets[Q4_AT_ONCE], counted[Q4_AT_ONCE];
      int_lanes errors[Q4_AT_ONCE];
      for (int n = 0; n < Q4_AT_ONCE; n++) {
        const lanes moved = centred + step * q4_start(grid, j + n);
        offsets[n] = q4_clamp_offset(round_lanes(moved), step);
        counted[n] = offsets[n] * counts;
      }
      q4_count_errors(&y, pairs, counted, errors);
      for (int n = 0; n < Q4_AT_ONCE; n++)
        q4_keep(&start, step, offsets[n], __builtin_convertvector(errors[n], lanes) * unit);
    }
    int_lanes residual;
    q4_count_error(&y, pairs, start.offset * counts, &residual);
    const lanes mean = __builtin_convertvector(residual, lanes) * per_count;
    const lanes offset = q4_clamp_offset(round_lanes(start.offset + mean * step), step);
    const int_lanes error = q4_count_error(&y, pairs, offset * counts, &residual);
    q4_keep(&best, step, start.offset, start.error);
    q4_keep(&best, step, offset, __builtin_convertvector(error, lanes) * unit);
  }
  // Where all values are the same, no step is the smallest that covers them.
  const int_lanes flat = high == low;
  const lanes level = clamp_lanes(round_lanes(low), (lanes)-127.0f, (lanes)127.0f);
  const lanes rest = low - level;
  best.step = flat ? (lanes)0.0f : best.step;
  best.offset = flat ? level : best.offset;
  best.error = flat ? rest * rest * (float)g->count : best.error;
  return best;
}
