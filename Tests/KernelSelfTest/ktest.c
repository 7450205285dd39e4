// Compares every kernel table that this machine can run with the scalar one, on awkward shapes.
// Prints a line for each instruction set and, last, how many comparisons passed and failed. With --best
// only the table that is chosen here is compared: under an emulator, the others are another processor's.
//
// A program of its own, so that the kernels alone can be cross-compiled and run under an emulator.
#include "language.h"
#include "hostile.h"
#include "packing.h"

static const vlm_kernels *scalar;

typedef struct shape {
  size_t rows, outputs, inputs, panel_begin, panel_end;
} shape;

/// Bits for y: sentinels show that nothing beside the given range is written.
static float *sentinels(size_t count) {
  float *p = memory(count * sizeof *p);
  for (size_t i = 0; i < count; i++) p[i] = 12345.0f + (float)(i % 7);
  return p;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// MARK: - Matrix products

/// Runs both tables on the same epilogue and returns the arrays through y and expected.
static void run_both(
    const vlm_kernels *k, gemm_function f, gemm_function reference, vlm_gemm *g, float *y,
    float *expected) {
  g->scratch = aligned_memory(k->gemm_scratch_bytes(g->inputs));
  g->y = y;
  f(g);
  g->y = expected;
  reference(g);
  free(g->scratch);
}

static void test_u8(
    const vlm_kernels *k, const shape *s, const u8_scheme *scheme, fill how, unsigned parts) {
  const size_t stride = round_up(s->inputs, 64) + (parts & 1 ? 64 : 0), y_stride = s->outputs + 3;
  const size_t count = s->rows * y_stride;
  uint8_t *x_memory = memory(s->rows * stride + 1), *x = x_memory + 1; // unaligned
  memset(x, 0, s->rows * stride);
  vlm_row_quant *quant = memory(s->rows * sizeof *quant);
  for (size_t r = 0; r < s->rows; r++) {
    for (size_t i = 0; i < s->inputs; i++)
      x[r * stride + i] = how == FILL_RANDOM ? (uint8_t)random_bits() : 255;
    quant[r] = (vlm_row_quant){0.01f + 0.01f * random_float(), random_float()};
  }
  uint8_t *weights = pack_u8(scheme->bits, s->outputs, s->inputs, how);
  float *bias = random_floats(s->outputs, 1), *gamma = random_floats(s->outputs, 2);
  float *residual = random_floats(count, 3), *y = sentinels(count), *expected = sentinels(count);
  vlm_gemm g = {
      .rows = s->rows, .inputs = s->inputs, .outputs = s->outputs, .x = x, .x_stride = stride,
      .x_quant = quant, .weights = weights, .panel_begin = s->panel_begin,
      .panel_end = s->panel_end, .y_stride = y_stride};
  g.epilogue.bias = parts & 1 ? bias : NULL;
  g.epilogue.gamma = parts & 2 ? gamma : NULL;
  g.epilogue.residual = parts & 4 ? residual : NULL;
  g.epilogue.residual_stride = y_stride;
  run_both(k, gemm_of(k, scheme), gemm_of(scalar, scheme), &g, y, expected);
  check(
      memcmp(y, expected, count * sizeof *y) == 0, k->name, scheme->name, s->rows, s->outputs,
      s->inputs);
  if (s->inputs) {
    const size_t per_row = 1 + parts % VLM_MAX_OUTLIERS;
    vlm_outlier *outliers = memory(s->rows * per_row * sizeof *outliers);
    for (size_t i = 0; i < s->rows * per_row; i++)
      outliers[i] = (vlm_outlier){random_bits() % (uint32_t)s->inputs, random_float()};
    g.y = y, outliers_of(k, scheme)(&g, per_row, outliers);
    g.y = expected, outliers_of(scalar, scheme)(&g, per_row, outliers);
    check(
        memcmp(y, expected, count * sizeof *y) == 0, k->name, "outliers", s->rows, s->inputs,
        scheme->bits);
    // The product with its outliers is the product, and then the outliers.
    g.outliers = outliers, g.outliers_per_row = per_row;
    float *together = sentinels(count), *reference = sentinels(count);
    run_both(k, gemm_of(k, scheme), gemm_of(scalar, scheme), &g, together, reference);
    check(
        memcmp(together, expected, count * sizeof *y) == 0 &&
            memcmp(reference, expected, count * sizeof *y) == 0,
        k->name, "product with outliers", s->rows, s->inputs, scheme->bits);
    free(together), free(reference);
    free(outliers);
  }
  free(x_memory), free(quant), free(weights), free(bias), free(gamma), free(residual);
  free(y), free(expected);
}

static void test_half(const vlm_kernels *k, const shape *s, int bf16) {
  const size_t stride = s->inputs + 2, y_stride = s->outputs + 1, count = s->rows * y_stride;
  // No more x than the contract lets a kernel read: the last row ends with its inputs.
  const size_t x_count = s->rows ? (s->rows - 1) * stride + s->inputs : 0;
  float *x = random_floats(x_count, 1), *y = sentinels(count), *expected = sentinels(count);
  float *sizes = sentinels(count);
  uint16_t *weights = pack_half(s->outputs, s->inputs, bf16);
  vlm_gemm g = {
      .rows = s->rows, .inputs = s->inputs, .outputs = s->outputs, .x = x, .x_stride = stride,
      .weights = weights, .panel_begin = s->panel_begin, .panel_end = s->panel_end,
      .y_stride = y_stride};
  const gemm_function reference = bf16 ? scalar->gemm_f32_bf16 : scalar->gemm_f32_f16;
  run_both(k, bf16 ? k->gemm_f32_bf16 : k->gemm_f32_f16, reference, &g, y, expected);

  // The sum of |x * W| bounds the error.
  for (size_t i = 0; i < x_count; i++) x[i] = fabsf(x[i]);
  for (size_t i = 0; i < vlm_panel_count(s->outputs) * vlm_half_panel_bytes(s->inputs) / 2; i++)
    weights[i] &= 0x7fff;
  g.y = sizes;
  reference(&g);
  const int rounds_x = bf16 && k->isa == VLM_ISA_AMX;
  const double unit = rounds_x ? 0x1p-8 + ((double)s->inputs + 2) * 0x1p-23
                               : ((double)s->inputs + 2) * 0x1p-24;
  int ok = 1;
  for (size_t i = 0; i < count; i++) ok &= fabs((double)y[i] - expected[i]) <= unit * sizes[i];
  check(
      ok, k->name, bf16 ? "gemm_f32_bf16" : "gemm_f32_f16", s->rows, s->outputs, s->inputs);
  free(x), free(weights), free(y), free(expected), free(sizes);
}

/// A row alone gives the bits that it gives among others.
static void test_row_alone(const vlm_kernels *k, size_t rows, int bf16) {
  const size_t inputs = 77, outputs = 70;
  float *x = random_floats(rows * inputs, 1);
  float *y = sentinels(rows * outputs), *alone = sentinels(outputs);
  uint16_t *weights = pack_half(outputs, inputs, bf16);
  vlm_gemm g = {
      .rows = rows, .inputs = inputs, .outputs = outputs, .x = x, .x_stride = inputs,
      .weights = weights, .panel_end = vlm_panel_count(outputs), .y = y, .y_stride = outputs,
      .scratch = aligned_memory(k->gemm_scratch_bytes(inputs))};
  const gemm_function f = bf16 ? k->gemm_f32_bf16 : k->gemm_f32_f16;
  f(&g);
  g.rows = 1;
  g.y = alone;
  for (size_t r = 0; r < rows; r++) {
    g.x = x + r * inputs;
    f(&g);
    check(
        memcmp(alone, y + r * outputs, outputs * sizeof *y) == 0, k->name, "a row alone", rows, r,
        (size_t)bf16);
  }
  free(x), free(y), free(alone), free(weights), free(g.scratch);
}

static void test_gemms(const vlm_kernels *k) {
  static const size_t rows[] = {0, 1, 2, 3, 4, 5, 7, 12, 15, 16, 17, 31, 33, 47};
  static const size_t outputs[] = {1, 15, 16, 17, 33, 64, 65, 96};
  static const size_t inputs[] = {0, 1, 3, 15, 16, 31, 32, 33, 63, 64, 65, 96, 127, 257};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    for (size_t n = 0; n < sizeof outputs / sizeof *outputs; n++) {
      for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const size_t panels = vlm_panel_count(outputs[n]);
        shape s = {rows[r], outputs[n], inputs[i], 0, panels};
        for (size_t j = 0; j < U8_SCHEMES; j++)
          test_u8(k, &s, &u8_schemes[j], FILL_RANDOM, (unsigned)(r + n + i) % 8);
        for (int bf16 = 0; bf16 < 2; bf16++) test_half(k, &s, bf16);
        if (panels < 3) continue;
        s.panel_begin = 1, s.panel_end = panels - 1;
        for (size_t j = 0; j < U8_SCHEMES; j++) test_u8(k, &s, &u8_schemes[j], FILL_RANDOM, 7);
        for (int bf16 = 0; bf16 < 2; bf16++) test_half(k, &s, bf16);
      }
    }
  }
  for (int how = FILL_HIGHEST; how <= FILL_LOWEST; how++) {
    for (size_t j = 0; j < U8_SCHEMES; j++) {
      test_u8(k, &(shape){3, 17, 4099, 0, 2}, &u8_schemes[j], (fill)how, 0);
      test_u8(k, &(shape){13, 17, 65536, 0, 2}, &u8_schemes[j], (fill)how, 0);
    }
  }
  // More rows, panels and inputs than a block of any set.
  const shape blocks = {50, 300, 600, 0, vlm_panel_count(300)};
  for (size_t j = 0; j < U8_SCHEMES; j++) test_u8(k, &blocks, &u8_schemes[j], FILL_RANDOM, 0);
  for (int bf16 = 0; bf16 < 2; bf16++) test_half(k, &blocks, bf16);
  for (size_t row = 1; row < 40; row += 6)
    for (int bf16 = 0; bf16 < 2; bf16++) test_row_alone(k, row, bf16);
}

// MARK: - Row and channel kernels

static const size_t lengths[] = {1,  2,  3,  4,  5,  7,  8,   15,  16,  17,  31,  32,
                                 33, 47, 63, 64, 65, 96, 127, 128, 129, 257, 768, 1000};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void test_quantize(const vlm_kernels *k, size_t columns, float offset, float size) {
  const size_t rows = 3, stride = columns + 1, q_stride = round_up(columns, 64);
  float *x = random_floats(rows * stride, size);
  for (size_t i = 0; i < rows * stride; i++) x[i] += offset;
  for (size_t i = 0; i < columns; i++) x[stride + i] = i % 2 ? -0.0f : 0.0f; // constant
  uint8_t *q = memory(rows * q_stride), *expected = memory(rows * q_stride);
  memset(q, 9, rows * q_stride), memset(expected, 7, rows * q_stride);
  vlm_row_quant quant[3], expected_quant[3];
  k->quantize_rows_u8(rows, columns, x, stride, q, q_stride, quant);
  scalar->quantize_rows_u8(rows, columns, x, stride, expected, q_stride, expected_quant);
  check(
      memcmp(q, expected, rows * q_stride) == 0 && memcmp(quant, expected_quant, sizeof quant) == 0,
      k->name, "quantize_rows_u8", columns, 0, 0);
  free(x), free(q), free(expected);
}

static void test_take_outliers(const vlm_kernels *k, size_t columns, size_t per_row, int kind) {
  enum { ROWS = 6 };
  const size_t rows = ROWS, stride = columns + 1, count = rows * stride;
  float *x = random_floats(count, 1), *expected = memory(count * sizeof *x);
  for (size_t i = 0; i < count; i++) {
    if (kind == 1) x[i] = x[i] > 0.9f ? x[i] * 1e6f : 0; // hardly a value but zeros
    if (kind == 2) x[i] = rintf(x[i] * 2);               // equal ones
    if (kind == 3) x[i] = random_bits() % 4 ? x[i] : hostile_float();
    if (kind == 4) x[i] = random_bits() % 16 ? NAN : x[i];
  }
  memcpy(expected, x, count * sizeof *x);
  vlm_outlier outliers[ROWS * VLM_MAX_OUTLIERS], wanted[ROWS * VLM_MAX_OUTLIERS];
  k->take_outliers(rows, columns, per_row, x, stride, outliers);
  scalar->take_outliers(rows, columns, per_row, expected, stride, wanted);
  check(
      memcmp(x, expected, count * sizeof *x) == 0 &&
          memcmp(outliers, wanted, rows * per_row * sizeof *wanted) == 0,
      k->name, "take_outliers", columns, per_row, (size_t)kind);
  free(x), free(expected);
}

static void test_layer_norm(const vlm_kernels *k, size_t channels, float offset, int in_place) {
  const size_t rows = 3, stride = channels + 2;
  float *x = random_floats(rows * stride, 1), *y = memory(rows * stride * sizeof *y);
  for (size_t i = 0; i < rows * stride; i++) x[i] += offset;
  float *weight = random_floats(channels, 2), *bias = random_floats(channels, 1);
  float *expected = memory(rows * stride * sizeof *y);
  scalar->layer_norm_f32(rows, channels, x, stride, weight, bias, 1e-6f, expected, stride);
  memcpy(y, x, rows * stride * sizeof *y);
  k->layer_norm_f32(
      rows, channels, in_place ? y : x, stride, weight, bias, 1e-6f, y, stride);
  int ok = 1;
  for (size_t r = 0; r < rows; r++) {
    double mean = 0, variance = 0, largest = 0;
    for (size_t c = 0; c < channels; c++) mean += x[r * stride + c] / (double)channels;
    for (size_t c = 0; c < channels; c++) {
      const double d = x[r * stride + c] - mean;
      variance += d * d / (double)channels;
      largest = fmax(largest, fabs(x[r * stride + c]));
    }
    const double deviation = sqrt(variance + 1e-6);
    for (size_t c = 0; c < channels; c++) {
      const double plain = fabs(x[r * stride + c] - mean) / deviation;
      const double bound =
          2e-6 * ((largest / deviation + plain) * fabs(weight[c]) + fabs(bias[c]));
      const size_t i = r * stride + c;
      ok &= fabs((double)y[i] - expected[i]) <= bound;
    }
  }
  check(ok, k->name, "layer_norm_f32", channels, (size_t)offset, (size_t)in_place);
  free(x), free(y), free(weight), free(bias), free(expected);
}

static void test_channels(const vlm_kernels *k, size_t channels, size_t rows) {
  const size_t stride = channels + 1;
  float *x = random_floats(rows * stride, 1), *scale = random_floats(channels, 2);
  float *shift = random_floats(channels, 1);
  float *y = sentinels(rows * stride), *expected = sentinels(rows * stride);
  k->scale_shift_f32(rows, channels, x, stride, scale, shift, y, stride);
  scalar->scale_shift_f32(rows, channels, x, stride, scale, shift, expected, stride);
  check(
      memcmp(y, expected, rows * stride * sizeof *y) == 0, k->name, "scale_shift_f32", rows,
      channels, 0);
  float *sums = sentinels(channels), *expected_sums = sentinels(channels);
  k->sum_squares_f32(rows, channels, x, stride, sums);
  scalar->sum_squares_f32(rows, channels, x, stride, expected_sums);
  int ok = 1;
  for (size_t c = 0; c < channels; c++)
    ok &= fabs((double)sums[c] - expected_sums[c]) <=
          (68 + (double)rows / 64) * 0x1p-24 * fabs(expected_sums[c]);
  check(ok, k->name, "sum_squares_f32", rows, channels, 0);
  free(x), free(scale), free(shift), free(y), free(expected), free(sums), free(expected_sums);
}

static int activation_is_near(float y, float expected, float x, float gamma) {
  const double bound = 5e-7 * fmax(1, fabs(x)) * fabs(gamma) + 0x1p-22 * fabs(expected);
  return fabs((double)y - expected) <= bound;
}

static void test_activations(const vlm_kernels *k) {
  enum { COUNT = 40001 };
  float *x = memory(COUNT * sizeof *x), *y = memory(COUNT * sizeof *y);
  float *expected = memory(COUNT * sizeof *y);
  for (int i = 0; i < COUNT; i++) x[i] = (float)(i - COUNT / 2) * (i % 3 ? 0.0004f : 0.02f);
  x[5] = 1e-42f, x[6] = -1e-42f, x[7] = 3e38f, x[8] = -3e38f, x[9] = 0, x[10] = -0.0f;
  for (int a = VLM_ACTIVATION_NONE; a <= VLM_ACTIVATION_HARD_SWISH; a++) {
    memcpy(y, x, COUNT * sizeof *y);
    k->activation_f32(COUNT, (vlm_activation)a, y, y);
    scalar->activation_f32(COUNT, (vlm_activation)a, x, expected);
    for (size_t i = 0; i < COUNT; i++)
      if (!activation_is_near(y[i], expected[i], x[i], 1))
        check(0, k->name, "activation_f32", (size_t)a, i, 0);
    check(1, k->name, "activation_f32", (size_t)a, 0, 0);
  }
  free(x), free(y), free(expected);
}

static void test_epilogue(const vlm_kernels *k, size_t outputs) {
  const size_t rows = 3, stride = outputs + 1, count = rows * stride;
  float *x = random_floats(count, 4), *bias = random_floats(outputs, 1);
  float *gamma = random_floats(outputs, 2), *residual = random_floats(count, 1);
  float *y = memory(count * sizeof *y), *expected = memory(count * sizeof *y);
  for (int a = VLM_ACTIVATION_NONE; a <= VLM_ACTIVATION_HARD_SWISH; a++) {
    for (unsigned parts = 0; parts < 8; parts++) {
      const vlm_epilogue e = {
          parts & 1 ? bias : NULL, parts & 2 ? gamma : NULL, parts & 4 ? residual : NULL, stride,
          (vlm_activation)a};
      memcpy(y, x, count * sizeof *y), memcpy(expected, x, count * sizeof *y);
      k->epilogue_f32(rows, outputs, y, stride, &e);
      scalar->epilogue_f32(rows, outputs, expected, stride, &e);
      int ok = a > VLM_ACTIVATION_NONE || memcmp(y, expected, count * sizeof *y) == 0;
      // |x + bias| <= 5 and |gamma| <= 2; a rounding of the sum with the residual besides.
      for (size_t i = 0; i < count; i++) ok &= activation_is_near(y[i], expected[i], 5.1f, 2);
      check(ok, k->name, "epilogue_f32", outputs, (size_t)a, parts);
    }
  }
  free(x), free(bias), free(gamma), free(residual), free(y), free(expected);
}

// MARK: - Depthwise convolution

static void test_depthwise(const vlm_kernels *k, vlm_depthwise d) {
  const size_t inputs = d.height * d.width * d.channels, taps = d.kernel * d.kernel;
  const size_t count = (d.row_end - d.row_begin) * d.width * d.channels;
  float *x = random_floats(inputs, 1), *weights = random_floats(taps * d.channels, 1);
  float *bias = random_floats(d.channels, 1);
  float *y = sentinels(count), *expected = sentinels(count), *sizes = sentinels(count);
  d.x = x, d.weights = weights, d.bias = d.width % 2 ? bias : NULL;
  d.y = y;
  k->depthwise_f32(&d);
  d.y = expected;
  scalar->depthwise_f32(&d);
  for (size_t i = 0; i < inputs; i++) x[i] = fabsf(x[i]);
  for (size_t i = 0; i < taps * d.channels; i++) weights[i] = fabsf(weights[i]);
  for (size_t i = 0; i < d.channels; i++) bias[i] = fabsf(bias[i]);
  d.y = sizes;
  scalar->depthwise_f32(&d);
  int ok = 1;
  const double unit = ((double)taps + 2) * 0x1p-24;
  for (size_t i = 0; i < count; i++) ok &= fabs((double)y[i] - expected[i]) <= unit * sizes[i];
  check(ok, k->name, "depthwise_f32", d.width, d.channels, d.kernel);
  free(x), free(weights), free(bias), free(y), free(expected), free(sizes);
}

static void test_depthwises(const vlm_kernels *k) {
  static const size_t kernels[] = {1, 3, 5, 7, 9};
  static const size_t widths[] = {1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 14, 16, 17, 21};
  static const size_t channels[] = {1, 3, 4, 8, 15, 16, 17, 35};
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
      for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
        for (size_t dilation = 1; dilation <= 2; dilation++) {
          const size_t height = 4 + w % 5;
          test_depthwise(
              k, (vlm_depthwise){
                     .height = height, .width = widths[w], .channels = channels[c],
                     .kernel = kernels[i], .dilation = dilation, .row_begin = w % 3,
                     .row_end = height - w % 2});
        }
}

/// More rows, columns and channels than one block of the 7 x 7 kernel.
static void test_large_depthwise(const vlm_kernels *k) {
  static const size_t widths[] = {22, 23, 24, 25, 28, 48, 55};
  static const size_t channels[] = {31, 32, 33, 64, 70};
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
      test_depthwise(
          k, (vlm_depthwise){
                 .height = 21, .width = widths[w], .channels = channels[c], .kernel = 7,
                 .dilation = 1, .row_begin = c % 3, .row_end = 21 - w % 3});
}

/// Output rows have the same bits however they are split over calls.
static void test_depthwise_split(const vlm_kernels *k) {
  const size_t height = 20, width = 30, channels = 37, count = height * width * channels;
  float *x = random_floats(count, 1), *weights = random_floats(49 * channels, 1);
  float *whole = sentinels(count), *parts = sentinels(count);
  vlm_depthwise d = {
      .height = height, .width = width, .channels = channels, .kernel = 7, .dilation = 1,
      .row_end = height, .x = x, .weights = weights, .y = whole};
  k->depthwise_f32(&d);
  for (size_t row = 0; row < height; row += 3) {
    d.row_begin = row, d.row_end = row + 3 < height ? row + 3 : height;
    d.y = parts + row * width * channels;
    k->depthwise_f32(&d);
  }
  check(
      memcmp(whole, parts, count * sizeof *whole) == 0, k->name, "depthwise split", width,
      channels, 7);
  free(x), free(weights), free(whole), free(parts);
}

/// No set lacks a kernel.
static void test_complete(const vlm_kernels *k) {
  const size_t first = offsetof(vlm_kernels, gemm_scratch_bytes);
  for (size_t at = first; at < sizeof *k; at += sizeof(void (*)(void))) {
    void (*function)(void);
    memcpy(&function, (const char *)k + at, sizeof function);
    check(function != NULL, k->name, "an entry of the table", (at - first) / sizeof function, 0, 0);
  }
}

int main(int count, char **arguments) {
  const bool best_only = count == 2 && !strcmp(arguments[1], "--best");
  if (count > 1 && !best_only) {
    fprintf(stderr, "usage: %s [--best]\n", arguments[0]);
    return 64;
  }
  scalar = vlm_kernels_for(VLM_ISA_SCALAR);
  test_complete(scalar);
  test_hostile(scalar);
  for (int isa = VLM_ISA_SCALAR + 1; isa < VLM_ISA_COUNT; isa++) {
    const vlm_kernels *k = vlm_kernels_for((vlm_isa)isa);
    if (!k) {
      printf("%-13s not in this build or on this machine\n", vlm_isa_name((vlm_isa)isa));
      continue;
    }
    if (best_only && isa != (int)vlm_isa_best()) continue;
    const counts before = total;
    test_complete(k);
    test_hostile(k);
    test_gemms(k);
    for (size_t i = 0; i < LENGTHS; i++) {
      test_quantize(k, lengths[i], 0, 1);
      test_quantize(k, lengths[i], 100, 1e-3f);
      test_quantize(k, lengths[i], 0, 3e-38f);
      for (int kind = 0; kind < 5; kind++)
        for (size_t per_row = 1; per_row <= VLM_MAX_OUTLIERS; per_row++)
          test_take_outliers(k, lengths[i], per_row, kind);
      for (int in_place = 0; in_place < 2; in_place++) {
        test_layer_norm(k, lengths[i], 0, in_place);
        test_layer_norm(k, lengths[i], 100, in_place);
      }
      test_channels(k, lengths[i], 5);
      test_channels(k, lengths[i], 200);
      test_epilogue(k, lengths[i]);
      test_rms_norm(k, scalar, lengths[i]);
      test_simple_norm(k, scalar, lengths[i]);
      test_rotate_half(k, scalar, 2 * lengths[i]);
      test_gate(k, scalar, lengths[i]);
      test_soft_cap(k, scalar, lengths[i]);
      test_multiply(k, scalar, 1 + i % 9, lengths[i], 1 + i % 14);
    }
    test_activations(k);
    test_attentions(k, scalar);
    test_depthwises(k);
    test_large_depthwise(k);
    test_depthwise_split(k);
    printf(
        "%-13s %ld passed, %ld failed\n", k->name, total.passed - before.passed,
        total.failed - before.failed);
  }
  printf("best: %s\n", vlm_isa_name(vlm_isa_best()));
  printf("%ld passed, %ld failed\n", total.passed, total.failed);
  return total.failed != 0;
}
