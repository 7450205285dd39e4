// Included once per instruction set, after q4_body.h: choosing the scale of each output and
// writing the panel.

/// Scales tried first, in units of absmax / 127. Below 1 the largest values are clipped and all
/// others get finer steps; above 1 the steps that round badly at 1 may round well.
static const float q4_factors[] = {1.2f, 1.12f, 1.06f, 1.0f,  0.95f, 0.9f,
                                   0.85f, 0.8f, 0.72f, 0.64f, 0.56f, 0.48f};
enum { Q4_FACTORS = sizeof q4_factors / sizeof q4_factors[0] };

/// What the best of them is multiplied by next.
static const float q4_nudges[] = {0.97f, 0.985f, 1.0f, 1.015f, 1.03f};
enum { Q4_NUDGES = sizeof q4_nudges / sizeof q4_nudges[0] };

// 4, 12 and 56 pairs of step and offset per group: few where many scales are compared, many at the
// end, when one scale is left.
static const q4_grid q4_coarse = {0, 2, 0, 0};
static const q4_grid q4_middle = {0, 2, 1, 1.0f / 3};
static const q4_grid q4_fine = {1, 4, 3, 0.2f};

VLM_INLINE q4_group q4_group_at(const tile *t, const lanes *x, size_t inputs, size_t block) {
  const size_t first = block * VLM_BLOCK_INPUTS;
  q4_group g = {x, t->importance + first, 0, 0};
  g.count = (int)(inputs - first < VLM_BLOCK_INPUTS ? inputs - first : VLM_BLOCK_INPUTS);
  for (int k = 0; k < g.count; k++) g.weight += g.importance[k];
  return g;
}

/// Importance scaled to at most 1 and at least 2^-20, so that no group is without weight.
VLM_INLINE void load_importance(const vlm_encode_panel *p, const tile *t) {
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
    }
    t->importance[k] = value;
  }
}

/// The weighted squared error of every output when its scale is `factor` units.
VLM_INLINE lanes q4_scale_error(const tile *t, size_t inputs, lanes factor, q4_grid grid) {
  const lanes inverse = 1.0f / factor;
  lanes error = 0, x[VLM_BLOCK_INPUTS];
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const q4_group g = q4_group_at(t, x, inputs, block);
    for (int k = 0; k < g.count; k++) x[k] = t->u[block * VLM_BLOCK_INPUTS + k] * inverse;
    error += q4_search(&g, grid).error;
  }
  return error * (factor * factor);
}

VLM_INLINE lanes q4_choose_factor(const tile *t, size_t inputs) {
  lanes coarse = 1.0f, least = __FLT_MAX__;
  for (int i = 0; i < Q4_FACTORS; i++) {
    const lanes factor = q4_factors[i];
    const lanes error = q4_scale_error(t, inputs, factor, q4_coarse);
    coarse = error < least ? factor : coarse;
    least = min_lanes(least, error);
  }
  lanes best = coarse;
  least = __FLT_MAX__;
  for (int i = 0; i < Q4_NUDGES; i++) {
    const lanes factor = coarse * q4_nudges[i];
    const lanes error = q4_scale_error(t, inputs, factor, q4_middle);
    best = error < least ? factor : best;
    least = min_lanes(least, error);
  }
  return best;
}

/// Chooses steps and offsets of all groups, kept in t->u, and returns the scale that is best for
/// the codes they lead to: sum w x b / sum w b^2 times the one given, b being step * code + offset.
VLM_INLINE lanes q4_choose_groups(const tile *t, size_t inputs, lanes scale, int searched) {
  const lanes unit = scale > 0 ? scale : (lanes)1.0f;
  lanes dot = 0, square = 0, x[VLM_BLOCK_INPUTS];
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const q4_group g = q4_group_at(t, x, inputs, block);
    for (int k = 0; k < g.count; k++) x[k] = t->w[block * VLM_BLOCK_INPUTS + k] / unit;
    const q4_choice best = searched ? q4_search(&g, q4_fine) : q4_min_max(&g);
    t->u[2 * block] = scale > 0 ? best.step : (lanes)0.0f;
    t->u[2 * block + 1] = scale > 0 ? best.offset : (lanes)0.0f;
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

VLM_INLINE void encode_q4_as(const vlm_encode_panel *p, vlm_encode_stats *stats, int searched) {
  const tile t = tile_of(p);
  load_tile(p, &t, stats);
  load_importance(p, &t);
  const size_t blocks = vlm_block_count(p->inputs);
  char *const out = p->panel;
  memset(out, 0, vlm_q4_panel_bytes(p->inputs));

  lanes scale = min_lanes(absmax_of(&t, p->inputs) / 127.0f, (lanes)VLM_MAX_SCALE);
  if (searched) {
    const lanes unit = scale > 0 ? scale : (lanes)1.0f;
    for (size_t k = 0; k < p->inputs; k++) t.u[k] = t.w[k] / unit;
    scale = min_lanes(scale * q4_choose_factor(&t, p->inputs), (lanes)VLM_MAX_SCALE);
  }
  scale = q4_choose_groups(&t, p->inputs, scale, searched);
  const lanes unit = scale > 0 ? scale : (lanes)1.0f;

  int_lanes sum = 0;
  lane_stats s = {0};
  for (size_t block = 0; block < blocks; block++) {
    const lanes *w = t.w + block * VLM_BLOCK_INPUTS;
    const q4_group g = q4_group_at(&t, w, p->inputs, block);
    const lanes step = t.u[2 * block], offset = t.u[2 * block + 1];
    const lanes inverse = inverse_of(step);
    bit_lanes words[4] = {0, 0, 0, 0};  // of eight inputs each
    for (int k = 0; k < g.count; k++) {
      const lanes code = q4_code(w[k] / unit - offset, inverse);
      const lanes bracket = offset + step * code;
      const bit_lanes nibble = __builtin_convertvector(code, bit_lanes);
      words[k / 8] |= nibble << (uint32_t)(k % 4 * 8 + (k % 8 < 4 ? 0 : 4));
      sum += __builtin_convertvector(bracket, int_lanes);
      compare_lanes(w[k], scale * bracket, &s);
    }
    memcpy(out + 256 * block, words, sizeof words);
    vlm_q4_group parameters;
    for (int n = 0; n < VLM_PANEL_OUTPUTS; n++) {
      parameters.step[n] = (uint8_t)step[n];
      parameters.offset[n] = (int8_t)offset[n];
    }
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
