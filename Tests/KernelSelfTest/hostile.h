// What a damaged file can hold, for ktest.c: panels of any bytes, and activations that are not
// numbers. Such results have no right value; a sanitizer sees that nothing undefined is done for
// them, and the sentinels that nothing beside the outputs is written.
#ifndef KTEST_HOSTILE_H
#define KTEST_HOSTILE_H

#include "schemes.h"

/// Panels of any bytes; or, at `all`, each byte the same.
static void *hostile_panels(size_t outputs, size_t bytes, int all) {
  const size_t count = vlm_panel_count(outputs) * bytes;
  uint8_t *panels = aligned_memory(count);
  for (size_t i = 0; i < count; i++) panels[i] = (uint8_t)(all < 0 ? random_bits() : (unsigned)all);
  return panels;
}

static float hostile_float(void) {
  static const float values[] = {INFINITY, -INFINITY, 3e38f, -3e38f, 1e-44f, 0, -0.0f, 1};
  const uint32_t bits = random_bits();
  return bits % 9 < 8 ? values[bits % 9] : NAN;
}

static float *hostile_floats(size_t count) {
  float *p = memory(count * sizeof *p);
  for (size_t i = 0; i < count; i++) p[i] = random_bits() % 4 ? random_float() : hostile_float();
  return p;
}

/// A product by panels of any bytes; of u8 also the outliers.
static void hostile_product(
    const vlm_kernels *k, gemm_function f, outlier_function add, const char *what, size_t rows,
    size_t inputs, size_t panel_bytes, int all) {
  const int is_half = !add;
  const size_t outputs = 17, stride = (inputs + 63) / 64 * 64, y_stride = outputs + 1;
  vlm_row_quant *quant = memory(rows * sizeof *quant);
  for (size_t r = 0; r < rows; r++) quant[r] = (vlm_row_quant){hostile_float(), hostile_float()};
  uint8_t *codes = memory(rows * stride);
  memset(codes, 255, rows * stride);
  for (size_t r = 0; r < rows; r++) memset(codes + r * stride + inputs, 0, stride - inputs);
  float *x = hostile_floats(rows * stride), *y = memory(rows * y_stride * sizeof *y);
  for (size_t i = 0; i < rows * y_stride; i++) y[i] = 12345;
  void *weights = hostile_panels(outputs, panel_bytes, all);
  vlm_gemm g = {
      .rows = rows, .inputs = inputs, .outputs = outputs, .x = is_half ? (void *)x : (void *)codes,
      .x_stride = stride, .x_quant = quant, .weights = weights, .panel_end = 2, .y = y,
      .y_stride = y_stride, .scratch = aligned_memory(k->gemm_scratch_bytes(inputs))};
  f(&g);
  int ok = 1;
  for (size_t r = 0; r < rows; r++) ok &= y[r * y_stride + outputs] == 12345;
  check(ok, k->name, what, rows, inputs, (size_t)all);
  if (!is_half) {
    vlm_outlier *outliers = memory(rows * VLM_MAX_OUTLIERS * sizeof *outliers);
    for (size_t i = 0; i < rows * VLM_MAX_OUTLIERS; i++)
      outliers[i] = (vlm_outlier){random_bits() % (uint32_t)inputs, hostile_float()};
    add(&g, VLM_MAX_OUTLIERS, outliers);
    free(outliers);
  }
  free(quant), free(codes), free(x), free(y), free(weights), free(g.scratch);
}

static void hostile_rows(size_t inputs) {
  float *y = memory(inputs * sizeof *y);
  for (size_t bits = 3; bits <= 16; bits++) {
    if (bits > 6 && bits != 8 && bits != 16) continue;
    const size_t bytes = bits == 16  ? vlm_half_panel_bytes(inputs)
                         : bits == 8 ? vlm_q8_panel_bytes(inputs)
                                     : vlm_qn_panel_bytes(bits, inputs);
    void *panels = hostile_panels(17, bytes, -1);
    for (size_t output = 0; output < 17; output++) {
      if (bits == 16) {
        vlm_panel_row_f16(panels, inputs, output, y);
        vlm_panel_row_bf16(panels, inputs, output, y);
      } else if (bits == 8) {
        vlm_panel_row_q8(panels, inputs, output, y);
      } else {
        vlm_panel_row_qn(panels, bits, inputs, output, y);
      }
    }
    free(panels);
  }
  free(y);
}

/// Activations that are not numbers, to where they become integers.
static void hostile_activations(const vlm_kernels *k, size_t columns) {
  enum { ROWS = 5 };
  const size_t stride = (columns + 63) / 64 * 64;
  float *x = hostile_floats(ROWS * columns);
  uint8_t *codes = memory(ROWS * stride);
  vlm_row_quant quant[ROWS];
  vlm_outlier outliers[ROWS * VLM_MAX_OUTLIERS];
  for (size_t i = 0; i < columns; i++) x[i] = NAN, x[columns + i] = hostile_float();
  k->take_outliers(ROWS, columns, VLM_MAX_OUTLIERS, x, columns, outliers);
  k->quantize_rows_u8(ROWS, columns, x, columns, codes, stride, quant);
  vlm_settle_outliers(ROWS, columns, VLM_MAX_OUTLIERS, codes, stride, quant, outliers);
  for (int format = VLM_KV_F32; format <= VLM_KV_BF16; format++) {
    vlm_kv_head kv = kv_memory((vlm_kv_format)format, columns, 32);
    k->store_keys_values(&kv, 3, ROWS, x, columns, x, columns);
    kv_free(&kv);
  }
  for (int a = VLM_ACTIVATION_NONE; a <= VLM_ACTIVATION_HARD_SWISH; a++)
    k->activation_f32(ROWS * columns, (vlm_activation)a, x, x);
  check(1, k->name, "activations that are not numbers", columns, 0, 0);
  free(x), free(codes);
}

static void test_hostile(const vlm_kernels *k) {
  // The last is the longest row whose sums fit where the layout's rules are kept.
  static const size_t inputs[] = {1, 31, 33, 257, VLM_MAX_INPUTS};
  static const int all[] = {-1, 0x7f, 0x80, 0xff};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
    for (size_t fill = 0; fill < sizeof all / sizeof *all; fill++)
      for (size_t rows = 1; rows < 6; rows += 4) {
        const size_t n = inputs[i];
        for (size_t j = 0; j < U8_SCHEMES; j++) {
          const u8_scheme *s = &u8_schemes[j];
          hostile_product(
              k, gemm_of(k, s), outliers_of(k, s), s->name, rows, n, u8_panel_bytes(s->bits, n),
              all[fill]);
        }
        const size_t half = vlm_half_panel_bytes(n);
        hostile_product(k, k->gemm_f32_f16, NULL, "hostile f16", rows, n, half, all[fill]);
        hostile_product(k, k->gemm_f32_bf16, NULL, "hostile bf16", rows, n, half, all[fill]);
      }
  hostile_rows(257);
  for (size_t columns = 2; columns < 100; columns += 31) hostile_activations(k, columns);
}

#endif
