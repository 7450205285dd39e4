// A kernel table whose functions measure the time of another table's.
#define _POSIX_C_SOURCE 199309L // clock_gettime

#include "vlm_peak.h"

#include <stdatomic.h>
#include <time.h>

static const vlm_kernels *counted;
static vlm_kernels table;
static _Atomic uint64_t total[VLM_COUNTED_KINDS];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Some 50 ns a call; the calls are for whole tiles, thousands of times longer.
#define COUNT(kind, call)                                                          \
  {                                                                                \
    const uint64_t begin = now();                                                  \
    call;                                                                          \
    atomic_fetch_add_explicit(&total[kind], now() - begin, memory_order_relaxed);  \
  }

static vlm_counted kind_of(const vlm_gemm *g) {
  return g->epilogue.activation == VLM_ACTIVATION_NONE ? VLM_COUNTED_GEMM
                                                       : VLM_COUNTED_GEMM_ACTIVATION;
}

static void gemm_u8_q8(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_u8_q8(g)) }
static void gemm_u8_q3(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_u8_q3(g)) }
static void gemm_u8_q4(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_u8_q4(g)) }
static void gemm_u8_q5(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_u8_q5(g)) }
static void gemm_u8_q6(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_u8_q6(g)) }
static void gemm_f32_f16(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_f32_f16(g)) }
static void gemm_f32_bf16(const vlm_gemm *g) { COUNT(kind_of(g), counted->gemm_f32_bf16(g)) }

static void epilogue_f32(
    size_t rows, size_t outputs, float *y, size_t y_stride, const vlm_epilogue *epilogue) {
  COUNT(VLM_COUNTED_EPILOGUE, counted->epilogue_f32(rows, outputs, y, y_stride, epilogue))
}

static void quantize_rows_u8(
    size_t rows, size_t columns, const float *x, size_t x_stride, uint8_t *q, size_t q_stride,
    vlm_row_quant *quant) {
  COUNT(VLM_COUNTED_QUANTIZE,
        counted->quantize_rows_u8(rows, columns, x, x_stride, q, q_stride, quant))
}

static void layer_norm_f32(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    const float *bias, float epsilon, float *y, size_t y_stride) {
  COUNT(VLM_COUNTED_LAYER_NORM,
        counted->layer_norm_f32(
            rows, channels, x, x_stride, weight, bias, epsilon, y, y_stride))
}

static void depthwise_f32(const vlm_depthwise *d) {
  COUNT(VLM_COUNTED_DEPTHWISE, counted->depthwise_f32(d))
}

static void activation_f32(size_t count, vlm_activation activation, const float *x, float *y) {
  COUNT(VLM_COUNTED_OTHER, counted->activation_f32(count, activation, x, y))
}

static void sum_squares_f32(
    size_t rows, size_t channels, const float *x, size_t x_stride, float *sums) {
  COUNT(VLM_COUNTED_OTHER, counted->sum_squares_f32(rows, channels, x, x_stride, sums))
}

static void scale_shift_f32(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *scale,
    const float *shift, float *y, size_t y_stride) {
  COUNT(VLM_COUNTED_OTHER,
        counted->scale_shift_f32(rows, channels, x, x_stride, scale, shift, y, y_stride))
}

static void rms_norm_f32(
    size_t rows, size_t channels, const float *x, size_t x_stride, const float *weight,
    float epsilon, float *y, size_t y_stride) {
  COUNT(VLM_COUNTED_LAYER_NORM,
        counted->rms_norm_f32(rows, channels, x, x_stride, weight, epsilon, y, y_stride))
}

static void rotate_half_f32(
    size_t rows, size_t heads, size_t head_dim, float *x, size_t x_stride, const float *cosines,
    const float *sines, size_t stride) {
  COUNT(VLM_COUNTED_OTHER,
        counted->rotate_half_f32(rows, heads, head_dim, x, x_stride, cosines, sines, stride))
}

static void gate_f32(
    size_t rows, size_t columns, vlm_activation activation, const float *gate, size_t gate_stride,
    const float *up, size_t up_stride, float *y, size_t y_stride) {
  COUNT(VLM_COUNTED_OTHER,
        counted->gate_f32(
            rows, columns, activation, gate, gate_stride, up, up_stride, y, y_stride))
}

static void store_keys_values(
    const vlm_kv_head *kv, size_t position, size_t rows, const float *keys, size_t keys_stride,
    const float *values, size_t values_stride) {
  COUNT(VLM_COUNTED_ATTENTION,
        counted->store_keys_values(
            kv, position, rows, keys, keys_stride, values, values_stride))
}

static void attention_f32(const vlm_attention *a) {
  COUNT(VLM_COUNTED_ATTENTION, counted->attention_f32(a))
}

const vlm_kernels *vlm_counted_kernels(const vlm_kernels *kernels) {
  counted = kernels;
  table = *kernels;
  table.gemm_u8_q8 = gemm_u8_q8;
  table.gemm_u8_q3 = gemm_u8_q3;
  table.gemm_u8_q4 = gemm_u8_q4;
  table.gemm_u8_q5 = gemm_u8_q5;
  table.gemm_u8_q6 = gemm_u8_q6;
  table.gemm_f32_f16 = gemm_f32_f16;
  table.gemm_f32_bf16 = gemm_f32_bf16;
  table.epilogue_f32 = epilogue_f32;
  table.quantize_rows_u8 = quantize_rows_u8;
  table.layer_norm_f32 = layer_norm_f32;
  table.depthwise_f32 = depthwise_f32;
  table.activation_f32 = activation_f32;
  table.sum_squares_f32 = sum_squares_f32;
  table.scale_shift_f32 = scale_shift_f32;
  table.rms_norm_f32 = rms_norm_f32;
  table.rotate_half_f32 = rotate_half_f32;
  table.gate_f32 = gate_f32;
  table.store_keys_values = store_keys_values;
  table.attention_f32 = attention_f32;
  return &table;
}

void vlm_counted_take(uint64_t nanoseconds[VLM_COUNTED_KINDS]) {
  for (int i = 0; i < VLM_COUNTED_KINDS; i++) nanoseconds[i] = atomic_exchange(&total[i], 0);
}
