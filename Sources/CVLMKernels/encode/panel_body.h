// Included once per instruction set: transposing rows, statistics, and the q8, f16 and bf16 panels.

// A cast between vectors of one size keeps the bits; __builtin_convertvector keeps the value.

VLM_INLINE lanes max_lanes(lanes a, lanes b) { return a > b ? a : b; }
VLM_INLINE lanes min_lanes(lanes a, lanes b) { return a < b ? a : b; }
VLM_INLINE lanes abs_lanes(lanes a) {
  return (lanes)((int_lanes)a & 0x7fffffff);
}

/// Nearest integer, ties to even, for |a| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
VLM_INLINE lanes round_lanes(lanes a) { return (a + 12582912.0f) - 12582912.0f; }

/// One step of transposing: pairs of rows `distance` apart exchange halves of blocks that wide.
/// `low` and `high` are VLM_S(sixteen places).
#define VLM_S(...) __VA_ARGS__
#define VLM_EXCHANGE(x, distance, low, high)                                   \
  for (int i = 0; i < 16; i++)                                                 \
    if ((i & (distance)) == 0) {                                               \
      const lanes a = (x)[i], b = (x)[i + (distance)];                         \
      (x)[i] = __builtin_shufflevector(a, b, low);                             \
      (x)[i + (distance)] = __builtin_shufflevector(a, b, high);               \
    }

/// Sixteen inputs of sixteen rows. Every line of memory is touched once: rows of a power of two
/// would otherwise push each other out of the first cache.
VLM_INLINE void transpose_square(const float *rows, size_t stride, lanes *columns) {
  lanes x[16];
  for (int i = 0; i < 16; i++) memcpy(&x[i], rows + i * stride, sizeof x[i]);
  VLM_EXCHANGE(x, 1, VLM_S(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
               VLM_S(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
  VLM_EXCHANGE(x, 2, VLM_S(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
               VLM_S(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  VLM_EXCHANGE(x, 4, VLM_S(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
               VLM_S(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  VLM_EXCHANGE(x, 8, VLM_S(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
               VLM_S(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  memcpy(columns, x, sizeof x);
}

/// Fills t->w from the rows and counts the values that are not finite.
VLM_ALONE void load_tile(const vlm_encode_panel *p, const tile *t, vlm_encode_stats *stats) {
  const size_t padded = vlm_block_count(p->inputs) * VLM_BLOCK_INPUTS;
  float *w = (float *)t->w;
  if (p->row_count < VLM_PANEL_OUTPUTS) memset(w, 0, padded * sizeof(lanes));
  size_t k0 = 0;
  for (; p->row_count == VLM_PANEL_OUTPUTS && k0 + 16 <= p->inputs; k0 += 16)
    transpose_square(p->rows + k0, p->row_stride, t->w + k0);
  for (size_t n = 0; n < p->row_count; n++) {
    const float *row = p->rows + n * p->row_stride;
    for (size_t k = k0; k < p->inputs; k++) w[k * VLM_PANEL_OUTPUTS + n] = row[k];
  }
  for (size_t k = p->inputs; k < padded; k++) t->w[k] = (lanes)0.0f;

  int_lanes bad_count = 0;
  for (size_t k = 0; k < p->inputs; k++) {
    const int_lanes exponent = (int_lanes)t->w[k] & 0x7f800000;
    const int_lanes bad = exponent == 0x7f800000;  // all ones where it is so
    bad_count -= bad;
    t->w[k] = (lanes)((int_lanes)t->w[k] & ~bad);
  }
  stats->count += (uint64_t)p->row_count * p->inputs;
  for (int n = 0; n < VLM_PANEL_OUTPUTS; n++) stats->not_finite += (uint64_t)bad_count[n];
}

typedef struct lane_stats {
  wide_lanes squared_error, squared_value, squared_decoded, dot, max_error;
} lane_stats;

VLM_INLINE void compare_lanes(lanes w, lanes v, lane_stats *s) {
  const wide_lanes a = __builtin_convertvector(w, wide_lanes);
  const wide_lanes b = __builtin_convertvector(v, wide_lanes);
  const wide_lanes e = a - b;
  const wide_lanes size = e < 0 ? -e : e;
  s->squared_error += e * e;
  s->squared_value += a * a;
  s->squared_decoded += b * b;
  s->dot += a * b;
  s->max_error = size > s->max_error ? size : s->max_error;
}

VLM_INLINE void finish_stats(const lane_stats *s, vlm_encode_stats *stats) {
  for (int n = 0; n < VLM_PANEL_OUTPUTS; n++) {
    stats->sum_squared_error += s->squared_error[n];
    stats->sum_squared_value += s->squared_value[n];
    stats->sum_squared_decoded += s->squared_decoded[n];
    stats->dot += s->dot[n];
    if (s->max_error[n] > stats->max_abs_error) stats->max_abs_error = s->max_error[n];
  }
}

VLM_INLINE lanes absmax_of(const tile *t, size_t inputs) {
  lanes result = 0;
  for (size_t k = 0; k < inputs; k++) result = max_lanes(result, abs_lanes(t->w[k]));
  return result;
}

VLM_INLINE void store_tail(void *at, lanes scale, int_lanes sum) {
  memcpy(at, &scale, sizeof scale);
  memcpy((char *)at + sizeof scale, &sum, sizeof sum);
}

// scale = absmax / 127, code = round(w / scale); a scale that rounds to 0 makes every code 0.
static void encode_q8(const vlm_encode_panel *p, vlm_encode_stats *stats) {
  const tile t = tile_of(p);
  load_tile(p, &t, stats);
  const lanes scale = min_lanes(absmax_of(&t, p->inputs) / 127.0f, (lanes)VLM_MAX_SCALE);
  const lanes divisor = scale > 0 ? scale : (lanes)1.0f;

  int_lanes sum = 0;
  lane_stats s = {0};
  const size_t words = vlm_block_count(p->inputs) * (VLM_BLOCK_INPUTS / 4);
  for (size_t i = 0; i < words; i++) {
    bit_lanes word = 0;
    for (int j = 0; j < 4; j++) {
      const lanes w = t.w[4 * i + j];
      lanes code = scale > 0 ? w / divisor : (lanes)0.0f;
      code = round_lanes(min_lanes(max_lanes(code, (lanes)-127.0f), (lanes)127.0f));
      const int_lanes integer = __builtin_convertvector(code, int_lanes);
      sum += integer;
      word |= (bit_lanes)(integer & 255) << (8 * j);
      compare_lanes(w, scale * code, &s);  // padded inputs and outputs add zeros
    }
    memcpy((char *)p->panel + 64 * i, &word, sizeof word);
  }
  store_tail((char *)p->panel + vlm_q8_tail_offset(p->inputs), scale, sum);
  finish_stats(&s, stats);
}

// The half panels keep what is not finite, so they read the rows and not the cleaned tile.
VLM_INLINE void encode_half(const vlm_encode_panel *p, vlm_encode_stats *stats, int is_f16) {
  const size_t padded = vlm_block_count(p->inputs) * VLM_BLOCK_INPUTS;
  uint16_t *out = p->panel;
  float source[VLM_BLOCK_INPUTS], decoded[VLM_BLOCK_INPUTS];
  uint16_t half[VLM_BLOCK_INPUTS];
  for (size_t n = 0; n < VLM_PANEL_OUTPUTS; n++) {
    for (size_t k0 = 0; k0 < padded; k0 += VLM_BLOCK_INPUTS) {
      size_t valid = 0;
      if (n < p->row_count) {
        valid = p->inputs - k0 < VLM_BLOCK_INPUTS ? p->inputs - k0 : VLM_BLOCK_INPUTS;
        memcpy(source, p->rows + n * p->row_stride + k0, valid * sizeof(float));
      }
      memset(source + valid, 0, (VLM_BLOCK_INPUTS - valid) * sizeof(float));
      if (is_f16) {
        vlm_f16_from_f32(VLM_BLOCK_INPUTS, source, half);
        vlm_f32_from_f16(VLM_BLOCK_INPUTS, half, decoded);
        for (size_t k = 0; k < VLM_BLOCK_INPUTS; k++)
          memcpy(out + (k0 + k) * VLM_PANEL_OUTPUTS + n, &half[k], 2);
      } else {
        vlm_bf16_from_f32(VLM_BLOCK_INPUTS, source, half);
        vlm_f32_from_bf16(VLM_BLOCK_INPUTS, half, decoded);
        for (size_t k = 0; k < VLM_BLOCK_INPUTS; k++)
          memcpy(out + (k0 + k) / 2 * 32 + n * 2 + k % 2, &half[k], 2);
      }
      vlm_encode_compare(valid, source, decoded, stats);
    }
  }
}

static void encode_f16(const vlm_encode_panel *p, vlm_encode_stats *stats) {
  encode_half(p, stats, 1);
}
static void encode_bf16(const vlm_encode_panel *p, vlm_encode_stats *stats) {
  encode_half(p, stats, 0);
}
