// The kernels of language models, for ktest.c: against the scalar table within their stated bounds,
// and against themselves, split and masked.
#ifndef KTEST_LANGUAGE_H
#define KTEST_LANGUAGE_H

#include "support.h"

/// One head's keys and values in memory of exactly their size.
static vlm_kv_head kv_memory(vlm_kv_format format, size_t head_dim, size_t capacity) {
  const size_t positions = (capacity + 15) / 16 * 16, bytes = vlm_kv_element_bytes(format);
  vlm_kv_head kv = {
      .format = format,
      .head_dim = head_dim,
      .keys = memory(positions * vlm_key_rows(format, head_dim) * bytes),
      .values = memory(positions * vlm_value_stride(head_dim) * bytes),
      .key_scales = memory(positions * sizeof(float)),
      .value_scales = memory(positions * sizeof(float))};
  memset(kv.keys, 0, positions * vlm_key_rows(format, head_dim) * bytes);
  memset(kv.values, 0, positions * vlm_value_stride(head_dim) * bytes);
  memset(kv.key_scales, 0, positions * sizeof(float));
  memset(kv.value_scales, 0, positions * sizeof(float));
  return kv;
}

static void kv_free(vlm_kv_head *kv) {
  free(kv->keys), free(kv->values), free(kv->key_scales), free(kv->value_scales);
}

static int kv_equal(const vlm_kv_head *a, const vlm_kv_head *b, size_t capacity) {
  const size_t positions = (capacity + 15) / 16 * 16, bytes = vlm_kv_element_bytes(a->format);
  const size_t key_bytes = positions * vlm_key_rows(a->format, a->head_dim) * bytes;
  return memcmp(a->keys, b->keys, key_bytes) == 0 &&
         memcmp(a->values, b->values, positions * vlm_value_stride(a->head_dim) * bytes) == 0 &&
         memcmp(a->key_scales, b->key_scales, positions * sizeof(float)) == 0 &&
         memcmp(a->value_scales, b->value_scales, positions * sizeof(float)) == 0;
}

typedef struct attention_shape {
  size_t rows, group, head_dim, count;
  int causal; // from count - rows, or 0 when that is less
  float size; // of the queries
  size_t window;
  float cap;
} attention_shape;

static void run_attention(const vlm_kernels *k, vlm_attention *a) {
  a->scratch = aligned_memory(k->attention_scratch_bytes(a->kv.head_dim));
  k->attention_f32(a);
  free(a->scratch);
}

/// What a set rounds to bf16 beside what is stored in it.
typedef enum rounding { ROUNDS_NOTHING, ROUNDS_QUERIES, ROUNDS_ALL } rounding;

/// The bound of lanes/attention.inc, or that of products of bf16, relative to the largest value;
/// values are in -1 ... 1.
static double attention_bound(const attention_shape *s, rounding rounds) {
  const double e = 0x1p-24, d = (double)s->head_dim;
  const double scores = s->size * d / sqrt(d); // |q| <= size, |k| <= 1
  const double cap = 2 * expm1(2e-6 * (double)s->cap);
  const double scored = rounds == ROUNDS_ALL ? 0x1.01p-8 : 0x1p-9;
  if (rounds)
    return 2 * (expm1(2 * (scored + (d + 10) * 0x1p-23) * scores) + 0x1p-8 +
                ((double)s->count + 40) * 0x1p-23) +
           cap + (rounds == ROUNDS_ALL ? 0x1p-9 : 0);
  return cap + 2 * (expm1(2 * e * ((d + 6) * scores + 4 * scores)) + ((double)s->count + 40) * e);
}

static void test_attention(
    const vlm_kernels *k, const vlm_kernels *reference, const attention_shape *s,
    vlm_kv_format format, bool pairs) {
  const size_t d = s->head_dim, width = s->group * d, stride = width + 3;
  float *keys = random_floats(s->count * d, 1), *values = random_floats(s->count * d, 1);
  float *q = random_floats(s->rows * stride, s->size);
  float *y = random_floats(s->rows * stride, 1), *expected = random_floats(s->rows * stride, 1);
  memcpy(expected, y, s->rows * stride * sizeof *y);

  // Stored in two pieces, and at once by the reference.
  vlm_kv_head kv = kv_memory(format, d, s->count), other = kv_memory(format, d, s->count);
  const size_t first = s->count / 3;
  k->store_keys_values(&kv, 0, first, keys, d, values, d);
  k->store_keys_values(
      &kv, first, s->count - first, keys + first * d, d, values + first * d, d);
  reference->store_keys_values(&other, 0, s->count, keys, d, values, d);
  check(kv_equal(&kv, &other, s->count), k->name, "store_keys_values", s->count, d, format);

  vlm_attention a = {
      .rows = s->rows, .group = s->group, .count = s->count, .causal = s->causal,
      .position = s->count > s->rows ? s->count - s->rows : 0, .scale = 1 / sqrtf((float)d),
      .cap = s->cap, .window = s->window, .q = q, .q_stride = stride, .kv = kv, .pairs = pairs,
      .y = y, .y_stride = stride};
  run_attention(k, &a);
  a.y = expected;
  run_attention(reference, &a);
  double worst = 0;
  int beside = 1;
  for (size_t i = 0; i < s->rows * stride; i++) {
    if (i % stride >= width)
      beside = beside && y[i] == expected[i];
    else
      worst = fmax(worst, fabs((double)y[i] - expected[i]));
  }
  rounding rounds = ROUNDS_NOTHING;
  if (format == VLM_KV_BF16 && (k->isa == VLM_ISA_AVX512BF16 || k->isa == VLM_ISA_AMX))
    rounds = ROUNDS_QUERIES;
  if (pairs && k->isa == VLM_ISA_AVX512BF16) rounds = ROUNDS_ALL;
  check(worst <= attention_bound(s, rounds), k->name, "attention_f32", s->rows, d, s->count);
  check(beside, k->name, "attention_f32 beside its output", s->rows, d, s->count);

  // A row by itself has the bits that it had among the others.
  const size_t row = s->rows - 1;
  float *alone = random_floats(width, 1);
  vlm_attention one = a;
  one.rows = 1, one.position += row, one.q = q + row * stride, one.y = alone;
  run_attention(k, &one);
  check(
      memcmp(alone, y + row * stride, width * sizeof *y) == 0, k->name, "attention of one row",
      s->rows, d, s->count);
  free(alone), free(keys), free(values), free(q), free(y), free(expected);
  kv_free(&kv), kv_free(&other);
}

static void test_attentions(const vlm_kernels *k, const vlm_kernels *reference) {
  static const attention_shape shapes[] = {
      {1, 1, 8, 1, 0, 1, 0, 0}, {7, 2, 16, 63, 1, 1, 0, 0}, {65, 1, 64, 130, 1, 1, 0, 0},
      {1, 3, 64, 577, 1, 1, 0, 0}, {3, 1, 80, 577, 0, 1, 0, 0}, {1, 8, 128, 100, 1, 1, 0, 0},
      {50, 1, 24, 50, 1, 1, 0, 0}, {1, 71, 64, 33, 1, 1, 0, 0}, {2, 5, 72, 300, 1, 1, 0, 0},
      {97, 1, 16, 257, 1, 1, 0, 0}, {1, 4, 128, 1030, 1, 1, 0, 0}, {13, 1, 7, 31, 0, 1, 0, 0},
      {4, 1, 64, 300, 0, 400, 0, 0}, {29, 3, 33, 520, 1, 30, 0, 0},
      {50, 2, 24, 700, 1, 1, 130, 0}, {7, 1, 16, 63, 1, 1, 1, 5},
      {3, 3, 33, 520, 1, 30, 256, 20}, {9, 1, 64, 300, 0, 3, 0, 4},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    for (int format = VLM_KV_F32; format <= VLM_KV_BF16; format++)
      test_attention(k, reference, &shapes[i], (vlm_kv_format)format, false);
    test_attention(k, reference, &shapes[i], VLM_KV_F16, true);
  }
}

static void test_rms_norm(const vlm_kernels *k, const vlm_kernels *reference, size_t channels) {
  const size_t rows = 2, stride = channels + 1;
  float *x = random_floats(rows * stride, 3), *weight = random_floats(channels, 2);
  float *y = random_floats(rows * stride, 1), *expected = memory(rows * stride * sizeof *y);
  memcpy(expected, y, rows * stride * sizeof *y);
  k->rms_norm_f32(rows, channels, x, stride, weight, 1e-5f, y, stride);
  reference->rms_norm_f32(rows, channels, x, stride, weight, 1e-5f, expected, stride);
  int ok = 1;
  for (size_t i = 0; i < rows * stride; i++)
    ok = ok && fabsf(y[i] - expected[i]) <= 1e-6f * fabsf(expected[i]);
  check(ok, k->name, "rms_norm_f32", channels, 0, 0);
  free(x), free(weight), free(y), free(expected);
}

static void test_simple_norm(const vlm_kernels *k, const vlm_kernels *reference, size_t channels) {
  const size_t rows = 2, stride = channels + 1;
  float *x = random_floats(rows * stride, 3), *weight = random_floats(channels, 2);
  float *y = random_floats(rows * stride, 1), *expected = memory(rows * stride * sizeof *y);
  for (size_t c = 0; c < channels; c++) x[stride + c] += 100;
  memcpy(expected, y, rows * stride * sizeof *y);
  k->simple_norm_f32(rows, channels, x, stride, weight, 1e-5f, y, stride);
  reference->simple_norm_f32(rows, channels, x, stride, weight, 1e-5f, expected, stride);
  int ok = 1;
  // One value has no unbiased variance.
  for (size_t i = 0; i < rows * stride; i++)
    ok = ok && (fabsf(y[i] - expected[i]) <= 2e-6f * fabsf(expected[i]) || channels < 2);
  check(ok, k->name, "simple_norm_f32", channels, 0, 0);
  free(x), free(weight), free(y), free(expected);
}

static void test_rotate_half(const vlm_kernels *k, const vlm_kernels *reference, size_t head_dim) {
  const size_t rows = 3, heads = 2, stride = heads * head_dim + 1, half = head_dim / 2;
  float *x = random_floats(rows * stride, 2), *same = memory(rows * stride * sizeof *x);
  float *cosines = random_floats(rows * half, 1), *sines = random_floats(rows * half, 1);
  memcpy(same, x, rows * stride * sizeof *x);
  k->rotate_half_f32(rows, heads, head_dim, x, stride, cosines, sines, half);
  reference->rotate_half_f32(rows, heads, head_dim, same, stride, cosines, sines, half);
  check(
      memcmp(x, same, rows * stride * sizeof *x) == 0, k->name, "rotate_half_f32", head_dim, 0, 0);
  free(x), free(same), free(cosines), free(sines);
}

/// The bound of lanes/multiply.inc, with the fewest lanes there are.
static void test_multiply(
    const vlm_kernels *k, const vlm_kernels *reference, size_t rows, size_t inputs,
    size_t outputs) {
  float *x = random_floats(rows * inputs, 2), *w = random_floats(outputs * inputs, 1);
  for (int adds = 0; adds < 2; adds++) {
    float *y = random_floats(rows * outputs, 1), *expected = memory(rows * outputs * sizeof *y);
    memcpy(expected, y, rows * outputs * sizeof *y);
    k->multiply_f32(rows, inputs, outputs, x, inputs, w, adds, y, outputs);
    reference->multiply_f32(rows, inputs, outputs, x, inputs, w, adds, expected, outputs);
    int ok = 1;
    for (size_t i = 0; i < rows * outputs; i++)
      ok = ok && fabs((double)y[i] - (double)expected[i]) <=
                     ((double)inputs / 4 + 8) * 0x1p-24 * (2 * (double)inputs + 1);
    check(ok, k->name, "multiply_f32", rows, inputs, outputs);
    free(y), free(expected);
  }
  free(x), free(w);
}

static void test_gate(const vlm_kernels *k, const vlm_kernels *reference, size_t columns) {
  float *gate = random_floats(columns, 6), *up = random_floats(columns, 2);
  float *y = memory(columns * sizeof *y), *expected = memory(columns * sizeof *y);
  for (int activation = VLM_ACTIVATION_NONE; activation <= VLM_ACTIVATION_HARD_SWISH; activation++) {
    k->gate_f32(1, columns, (vlm_activation)activation, gate, columns, up, columns, y, columns);
    reference->gate_f32(
        1, columns, (vlm_activation)activation, gate, columns, up, columns, expected, columns);
    int ok = 1;
    for (size_t i = 0; i < columns; i++)
      ok = ok && fabsf(y[i] - expected[i]) <= 6e-7f * fmaxf(1, fabsf(gate[i])) * fabsf(up[i]);
    check(ok, k->name, "gate_f32", columns, (size_t)activation, 0);
  }
  free(gate), free(up), free(y), free(expected);
}

static void test_soft_cap(const vlm_kernels *k, const vlm_kernels *reference, size_t count) {
  float *x = random_floats(count, 20), *y = memory(count * sizeof *y);
  float *expected = memory(count * sizeof *y);
  k->soft_cap_f32(count, 5, x, y);
  reference->soft_cap_f32(count, 5, x, expected);
  int ok = 1;
  for (size_t i = 0; i < count; i++)
    ok = ok && fabsf(y[i] - expected[i]) <= 9e-7f * fminf(5, fabsf(x[i]));
  check(ok, k->name, "soft_cap_f32", count, 0, 0);
  free(x), free(y), free(expected);
}

#endif
