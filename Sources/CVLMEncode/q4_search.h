// Included once per instruction set, after madd.h and before q4_panel_body.h: the search of q4_body.h in 16-bit
// integers, for groups whose inputs all weigh the same.
//
// Positions are counted in 32nds of a step, so an error of rounding is off by a 64th of a step at
// most: enough to tell good choices from bad ones, and twice the lanes of f32. Integers are the
// same on every instruction set. The codes are rounded in f32 from what is chosen here.
//
// No sum overflows: |x| is at most 127 / (0.48 * 0.97), so a value is at most 146 + 60 units from
// the nearest code, and 32 * (206 * 32)^2 < 2^31.

enum { Q4_FRACTION = 32 };

/// A group with its least and largest value, in units of absmax / 127.
typedef struct q4_span {
  const lanes *u;  // [VLM_BLOCK_INPUTS]; an odd number of inputs is followed by the last again
  lanes low, high;
  int count;
} q4_span;

/// Inputs 2k and 2k + 1 of output n side by side, in 32nds of a step.
typedef struct q4_scaled {
  short_lanes pairs[VLM_BLOCK_INPUTS / 2];
} q4_scaled;

/// Numbers of up to 15 bits and sign in the low half of each lane, rounded to nearest.
VLM_INLINE bit_lanes q4_fixed(lanes a) { return (bit_lanes)(a + 12582912.0f); }
VLM_INLINE short_lanes q4_both(bit_lanes a) {
  return (short_lanes)((a & 0xffff) | a << 16);
}

VLM_INLINE void q4_scale_group(const q4_span *g, lanes factor, q4_scaled *y) {
  for (int k = 0; k < VLM_BLOCK_INPUTS / 2; k++) {
    const bit_lanes even = q4_fixed(g->u[2 * k] * factor);
    const bit_lanes odd = q4_fixed(g->u[2 * k + 1] * factor);
    y->pairs[k] = (short_lanes)((even & 0xffff) | odd << 16);
  }
}

/// Squared error of the group in 1024ths of a squared step; `residual` gets the sum of the errors.
VLM_INLINE int_lanes q4_count_error(
    const q4_scaled *y, int pairs, short_lanes offset, int_lanes *residual) {
  const short_lanes below = offset - Q4_FRACTION / 2;
  int_lanes error = 0, left = 0;
  for (int k = 0; k < pairs; k++) {
    const short_lanes t = y->pairs[k] - below;
    // The code's place and half a step, as t has it: t rounded down to a whole step, clamped.
    short_lanes code = (t & (short_lanes)-Q4_FRACTION) | (short_lanes)(Q4_FRACTION / 2);
    const short_lanes least = Q4_FRACTION / 2, most = 15 * Q4_FRACTION + Q4_FRACTION / 2;
    code = __builtin_elementwise_max(code, least);
    code = __builtin_elementwise_min(code, most);
    const short_lanes e = t - code;
    error += vlm_madd(e, e);
    if (residual) left += vlm_madd(e, (short_lanes)1);
  }
  if (residual) *residual = left;
  return error;
}

/// As q4_search, with x = u * inverse.
VLM_INLINE q4_choice q4_search_counted(const q4_span *g, lanes inverse, q4_grid grid) {
  const lanes low = g->low * inverse, high = g->high * inverse;
  const lanes exact = (high - low) * (1.0f / 15.0f);
  lanes widest = round_lanes(exact);
  widest = min_lanes(widest < exact ? widest + 1.0f : widest, (lanes)16.0f);
  const int pairs = (g->count + 1) / 2;
  const float per_count = 1.0f / (float)(2 * pairs * Q4_FRACTION);

  q4_choice best = {1, 0, (lanes)__FLT_MAX__};
  q4_scaled y;
  for (int i = grid.above - grid.steps + 1; i <= grid.above; i++) {
    const lanes step = clamp_lanes(widest + (float)i, (lanes)1.0f, (lanes)16.0f);
    const lanes counts = (float)Q4_FRACTION / step;
    const lanes unit = step * step * (1.0f / (Q4_FRACTION * Q4_FRACTION));
    q4_scale_group(g, inverse * counts, &y);
    const lanes centred = (low + high) * 0.5f - 7.5f * step;
    for (int start = -grid.starts; start <= grid.starts; start++) {
      const lanes moved = centred + step * (grid.spread * (float)start);
      lanes offset = q4_clamp_offset(round_lanes(moved), step);
      int_lanes residual;
      int_lanes error = q4_count_error(
          &y, pairs, q4_both(q4_fixed(offset * counts)), grid.moves ? &residual : NULL);
      q4_keep(&best, step, offset, __builtin_convertvector(error, lanes) * unit);
      if (!grid.moves) continue;
      const lanes mean = __builtin_convertvector(residual, lanes) * per_count;
      offset = q4_clamp_offset(round_lanes(offset + mean * step), step);
      error = q4_count_error(&y, pairs, q4_both(q4_fixed(offset * counts)), NULL);
      q4_keep(&best, step, offset, __builtin_convertvector(error, lanes) * unit);
    }
  }
  // Where all values are the same, no step is the smallest that covers them.
  const int_lanes flat = exact == 0;
  const lanes level = clamp_lanes(round_lanes(low), (lanes)-127.0f, (lanes)127.0f);
  const lanes rest = low - level;
  best.step = flat ? (lanes)0.0f : best.step;
  best.offset = flat ? level : best.offset;
  best.error = flat ? rest * rest * (float)g->count : best.error;
  return best;
}
