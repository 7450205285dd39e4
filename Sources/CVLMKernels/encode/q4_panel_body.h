// Included once per instruction set, after q4_body.h: choosing the scale of each output and
// writing the panel.

/// Scales tried first, in units of absmax / 127. Below 1 the largest values are clipped and all
/// others get finer steps; above 1 the steps that round badly at 1 may round well.
static const float q4_factors[] = {1.1f, 1.0f, 0.92f, 0.85f, 0.78f, 0.68f, 0.58f, 0.48f};
enum { Q4_FACTORS = sizeof q4_factors / sizeof q4_factors[0] };

/// What the best of them is multiplied by next.
static const float q4_nudges[] = {0.97f, 1.03f};
enum { Q4_NUDGES = sizeof q4_nudges / sizeof q4_nudges[0] };

// Two pairs of step and offset per group while scales are compared, 48 when one is left.
static const q4_grid q4_coarse = {0, 2, 1, 0, 0};
static const q4_grid q4_fine = {1, 3, 15, 0.07f, 1};

VLM_INLINE q4_group q4_group_at(const tile *t, const lanes *x, size_t inputs, size_t block) {
  const size_t first = block * VLM_BLOCK_INPUTS;
  q4_group g = {x, t->importance + first, 0, 0};
  g.count = (int)(inputs - first < VLM_BLOCK_INPUTS ? inputs - first : VLM_BLOCK_INPUTS);
  for (int k = 0; k < g.count; k++) g.weight += g.importance[k];
  return g;
}

/// Importance scaled to at most 1 and at least 2^-20, so that no group is without weight. Returns
/// whether any input weighs less than the others.
VLM_INLINE int load_importance(const vlm_encode_panel *p, const tile *t) {
  int differ = 0;
  const size_t padded = vlm_block_count(p->inputs) * VLM_BLOCK_INPUTS;
  float largest = 0;
  for (size_t k = 0; p->importance != NULL && k < p->inputs; k++) {
    const float value = p->importance[k];
    if (value > largest && value <= __FLT_MAX__) largest = value;
  }
  for (size_t k = 0; k < padded; k++) {
    float value = k < p->inputs ? 1.0f : 0.0f;
    if (largest > 0 && k < p->inputs) {
      value = p->importance[k] / largest;
      value = value > 0x1p-20f ? value : 0x1p-20f;  // NaN and negative values too
      value = value < 1.0f ? value : 1.0f;
      differ |= value < 1.0f;
    }
    t->importance[k] = value;
  }
  return differ;
}

VLM_INLINE q4_span q4_span_at(const tile *t, size_t inputs, size_t block) {
  const size_t first = block * VLM_BLOCK_INPUTS;
  const int count = (int)(inputs - first < VLM_BLOCK_INPUTS ? inputs - first : VLM_BLOCK_INPUTS);
  return (q4_span){(const q4_pairs *)t->pairs + block, t->low[block], t->high[block], count};
}

/// The weighted squared errors of every output for `count` scales, one after the other in
/// `factors`, up to a factor that is the same for all of them.
VLM_ALONE void q4_scale_errors(
    const tile *t, size_t inputs, q4_unit unit, const lanes *factors, int count, int weighted,
    lanes *errors) {
  lanes inverse[Q4_FACTORS], x[VLM_BLOCK_INPUTS];
  for (int i = 0; i < count; i++) {
    inverse[i] = 1.0f / factors[i];
    errors[i] = 0;
  }
  // Every scale for one group before the next, so that the group is read from memory once.
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const q4_span span = q4_span_at(t, inputs, block);
    const q4_group g = q4_group_at(t, x, inputs, block);
    for (int i = 0; i < count; i++) {
      if (weighted) {
        for (int k = 0; k < g.count; k++) {
          x[k] = q4_in(unit, t->w[block * VLM_BLOCK_INPUTS + k]) * inverse[i];
        }
        errors[i] += q4_search(&g, q4_coarse).error;
      } else {
        errors[i] += q4_compare_steps(&span, inverse[i]);
      }
    }
  }
  for (int i = 0; i < count; i++) errors[i] *= factors[i] * factors[i];
}

/// The factor of the least error. Of equals, the first.
VLM_INLINE lanes q4_least(const lanes *factors, const lanes *errors, int count, lanes *least) {
  lanes best = factors[0];
  *least = errors[0];
  for (int i = 1; i < count; i++) {
    best = errors[i] < *least ? factors[i] : best;
    *least = min_lanes(*least, errors[i]);
  }
  return best;
}

VLM_INLINE lanes q4_choose_factor(const tile *t, size_t inputs, q4_unit unit, int weighted) {
  lanes factors[Q4_FACTORS], errors[Q4_FACTORS], least, nearby;
  for (int i = 0; i < Q4_FACTORS; i++) factors[i] = q4_factors[i];
  q4_scale_errors(t, inputs, unit, factors, Q4_FACTORS, weighted, errors);
  const lanes coarse = q4_least(factors, errors, Q4_FACTORS, &least);
  for (int i = 0; i < Q4_NUDGES; i++) factors[i] = coarse * q4_nudges[i];
  q4_scale_errors(t, inputs, unit, factors, Q4_NUDGES, weighted, errors);
  const lanes fine = q4_least(factors, errors, Q4_NUDGES, &nearby);
  return nearby < least ? fine : coarse;
}

/// Chooses steps and offsets of all groups and returns the scale that is best for
/// the codes they lead to: sum w x b / sum w b^2 times the one given, b being step * code + offset.
VLM_ALONE lanes q4_choose_groups(
    const tile *t, size_t inputs, lanes scale, int searched, int weighted) {
  const q4_unit unit = q4_unit_of(scale);
  lanes dot = 0, square = 0, x[VLM_BLOCK_INPUTS];
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const q4_group g = q4_group_at(t, x, inputs, block);
    for (int k = 0; k < g.count; k++) x[k] = q4_in(unit, t->w[block * VLM_BLOCK_INPUTS + k]);
    const q4_choice best = !searched ? q4_min_max(&g)
                           : weighted ? q4_search(&g, q4_fine)
                                      : q4_search_counted(&g, q4_fine);
    t->step[block] = scale > 0 ? best.step : (lanes)0.0f;
    t->offset[block] = scale > 0 ? best.offset : (lanes)0.0f;
    const lanes inverse = inverse_of(best.step);
    for (int k = 0; k < g.count; k++) {
      const lanes b = best.offset + best.step * q4_code(x[k] - best.offset, inverse);
      const lanes weighted = b * g.importance[k];
      dot += weighted * x[k];
      square += weighted * b;
    }
  }
  if (!searched) return scale;
  const lanes ratio = dot > 0 ? dot / (square > 0 ? square : (lanes)1.0f) : (lanes)1.0f;
  const lanes better = min_lanes(scale * ratio, (lanes)VLM_MAX_SCALE);
  return better > 0 ? better : scale;
}

/// Puts the rows in units of absmax / 127, and notes the range of every group.
VLM_ALONE void measure_groups(const tile *t, size_t inputs, q4_unit unit) {
  q4_pairs *const pairs = (q4_pairs *)t->pairs;
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const size_t first = block * VLM_BLOCK_INPUTS;
    const int count = (int)(inputs - first < VLM_BLOCK_INPUTS ? inputs - first : VLM_BLOCK_INPUTS);
    lanes low = __FLT_MAX__, high = -__FLT_MAX__;
    for (int k = 0; k < Q4_PAIRS; k++) {
      const int i = 2 * k < count ? 2 * k : count - 1, j = 2 * k + 1 < count ? 2 * k + 1 : i;
      const lanes even = q4_in(unit, t->w[first + (size_t)i]);
      const lanes odd = q4_in(unit, t->w[first + (size_t)j]);
      low = min_lanes(low, min_lanes(even, odd));
      high = max_lanes(high, max_lanes(even, odd));
      pairs[block].at[k] = q4_beside(q4_fixed(even * Q4_UNIT), q4_fixed(odd * Q4_UNIT));
    }
    t->low[block] = low;
    t->high[block] = high;
  }
}

VLM_INLINE void encode_q4_as(const vlm_encode_panel *p, vlm_encode_stats *stats, int searched) {
  const tile t = tile_of(p);
  load_tile(p, &t, stats);
  const int weighted = load_importance(p, &t);
  const size_t blocks = vlm_block_count(p->inputs);
  char *const out = p->panel;
  memset(out, 0, vlm_q4_panel_bytes(p->inputs));

  lanes scale = min_lanes(absmax_of(&t, p->inputs) / 127.0f, (lanes)VLM_MAX_SCALE), factor = 1.0f;
  if (searched) {
    const q4_unit unit = q4_unit_of(scale);
    measure_groups(&t, p->inputs, unit);
    factor = q4_choose_factor(&t, p->inputs, unit, weighted);
    // The groups are searched for the scale that will be stored.
    const lanes most = VLM_MAX_SCALE / (scale > 0 ? scale : (lanes)VLM_MAX_SCALE);
    factor = min_lanes(factor, max_lanes(most, (lanes)1.0f));
    scale = min_lanes(scale * factor, (lanes)VLM_MAX_SCALE);
  }
  scale = q4_choose_groups(&t, p->inputs, scale, searched, weighted);
  const q4_unit unit = q4_unit_of(scale);

  int_lanes sum = 0;
  lane_stats s = {0};
  for (size_t block = 0; block < blocks; block++) {
    const lanes *w = t.w + block * VLM_BLOCK_INPUTS;
    const q4_group g = q4_group_at(&t, w, p->inputs, block);
    const lanes step = t.step[block], offset = t.offset[block];
    const lanes inverse = inverse_of(step);
    bit_lanes words[4] = {0, 0, 0, 0};  // of eight inputs each
    for (int k = 0; k < g.count; k++) {
      const lanes code = q4_code(q4_in(unit, w[k]) - offset, inverse);
      const lanes bracket = offset + step * code;
      const bit_lanes nibble = __builtin_convertvector(code, bit_lanes);
      words[k / 8] |= nibble << (uint32_t)(k % 4 * 8 + (k % 8 < 4 ? 0 : 4));
      sum += __builtin_convertvector(bracket, int_lanes);
      compare_lanes(w[k], scale * bracket, &s);
    }
    memcpy(out + 256 * block, words, sizeof words);
    const byte_lanes steps = __builtin_convertvector(step, byte_lanes);
    const byte_lanes offsets = __builtin_convertvector(offset, byte_lanes);
    vlm_q4_group parameters;
    memcpy(parameters.step, &steps, sizeof steps);
    memcpy(parameters.offset, &offsets, sizeof offsets);
    memcpy(out + vlm_q4_groups_offset(p->inputs) + block * sizeof parameters, &parameters,
           sizeof parameters);
  }
  store_tail(out + vlm_q4_tail_offset(p->inputs), scale, sum);
  finish_stats(&s, stats);
}

static void encode_q4(const vlm_encode_panel *p, vlm_encode_stats *stats) {
  encode_q4_as(p, stats, 1);
}
static void encode_q4_min_max(const vlm_encode_panel *p, vlm_encode_stats *stats) {
  encode_q4_as(p, stats, 0);
}
