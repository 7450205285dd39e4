// Included once per instruction set, after q4_body.h: choosing the scale of each output and
// writing the panel.

/// Scales tried first, in units of absmax / 127. Below 1 the largest values are clipped and all
/// others get finer steps; above 1 a group that spans the whole range fits 15 steps of 16.
static const float q4_factors[] = {1.06f, 1.0f, 0.94f, 0.87f, 0.8f, 0.72f, 0.64f, 0.56f, 0.48f};
enum { Q4_FACTORS = sizeof q4_factors / sizeof q4_factors[0] };

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

/// The weighted squared error of every output when its scale is `factor` units. `dot` and `square`
/// get the sums that say by what the scale should be multiplied for the codes chosen.
VLM_INLINE lanes q4_scale_error(const tile *t, size_t inputs, lanes factor, int steps, int rounds,
                                lanes *dot, lanes *square) {
  const lanes inverse = 1.0f / factor;
  lanes error = 0, xb = 0, bb = 0;
  lanes x[VLM_BLOCK_INPUTS];
  for (size_t block = 0; block < vlm_block_count(inputs); block++) {
    const q4_group g = q4_group_at(t, x, inputs, block);
    for (int k = 0; k < g.count; k++) x[k] = t->u[block * VLM_BLOCK_INPUTS + k] * inverse;
    const q4_choice best = q4_search(&g, 0, steps, rounds);
    error += best.error;
    if (dot == NULL) continue;
    const lanes inverse_step = inverse_of(best.step);
    for (int k = 0; k < g.count; k++) {
      const lanes bracket = best.offset + best.step * q4_code(x[k], best.offset, inverse_step);
      xb += x[k] * bracket * g.importance[k];
      bb += bracket * bracket * g.importance[k];
    }
  }
  if (dot != NULL) *dot = xb, *square = bb;
  return error * (factor * factor);
}

VLM_INLINE void q4_keep_factor(lanes *best, lanes *least, lanes factor, lanes error) {
  const int_lanes better = error < *least;
  *best = better ? factor : *best;
  *least = better ? error : *least;
}

VLM_INLINE lanes q4_choose_factor(const tile *t, size_t inputs) {
  lanes best = 1.0f, least = __FLT_MAX__, dot, square;
  for (int i = 0; i < Q4_FACTORS; i++) {
    const lanes factor = q4_factors[i];
    q4_keep_factor(&best, &least, factor, q4_scale_error(t, inputs, factor, 4, 1, NULL, NULL));
  }
  const lanes around = best;
  for (int i = -1; i <= 1; i += 2) {
    const lanes factor = around * (1.0f + 0.03f * (float)i);
    q4_keep_factor(&best, &least, factor, q4_scale_error(t, inputs, factor, 4, 1, NULL, NULL));
  }
  for (int i = 0; i < 2; i++) {
    q4_scale_error(t, inputs, best, 4, 1, &dot, &square);
    const lanes ratio = square > 0 ? dot / (square > 0 ? square : (lanes)1.0f) : (lanes)1.0f;
    const lanes factor = best * clamp_lanes(ratio, (lanes)0.5f, (lanes)2.0f);
    q4_keep_factor(&best, &least, factor, q4_scale_error(t, inputs, factor, 4, 1, NULL, NULL));
  }
  return best;
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
    for (size_t k = 0; k < p->inputs; k++) t.u[k] = scale > 0 ? t.w[k] / unit : (lanes)0.0f;
    scale = min_lanes(scale * q4_choose_factor(&t, p->inputs), (lanes)VLM_MAX_SCALE);
  }
  const lanes unit = scale > 0 ? scale : (lanes)1.0f;

  int_lanes sum = 0;
  lane_stats s = {0};
  lanes x[VLM_BLOCK_INPUTS];
  for (size_t block = 0; block < blocks; block++) {
    const lanes *w = t.w + block * VLM_BLOCK_INPUTS;
    const q4_group g = q4_group_at(&t, x, p->inputs, block);
    for (int k = 0; k < g.count; k++) x[k] = scale > 0 ? w[k] / unit : (lanes)0.0f;
    const q4_choice best = searched ? q4_search(&g, 1, 7, 3) : q4_min_max(&g);

    const lanes inverse = inverse_of(best.step);
    int_lanes words[4] = {0, 0, 0, 0};
    for (int k = 0; k < g.count; k++) {
      const lanes code = q4_code(x[k], best.offset, inverse);
      const lanes bracket = best.offset + best.step * code;
      words[k / 8] |= __builtin_convertvector(code, int_lanes) << (k % 4 * 8 + (k % 8 < 4 ? 0 : 4));
      sum += __builtin_convertvector(bracket, int_lanes);
      compare_lanes(w[k], scale * bracket, &s);
    }
    memcpy(out + 256 * block, words, sizeof words);
    vlm_q4_group parameters;
    for (int n = 0; n < VLM_PANEL_OUTPUTS; n++) {
      parameters.step[n] = (uint8_t)best.step[n];
      parameters.offset[n] = (int8_t)best.offset[n];
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
