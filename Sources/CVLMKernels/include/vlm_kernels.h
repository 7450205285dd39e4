// The whole public surface of the kernels: one table of functions per instruction set.
//
// Rules for every function here:
//   * it does not allocate, start threads, do I/O, read the environment, print or abort;
//   * it is given a range of the work; the caller splits the work over threads;
//   * pointers need no alignment unless stated; sizes may be any number, 0 included;
//   * integer results are identical on every instruction set; float results agree with the scalar
//     table within the bound stated in the kernel's file.
#ifndef VLM_KERNELS_H
#define VLM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlm_blocks.h"
#include "vlm_isa.h"

/// Real value of a quantized activation u of row r: scale * u + minimum, u in 0...255.
typedef struct vlm_row_quant {
  float scale;
  float minimum;
} vlm_row_quant;

typedef enum vlm_activation {
  VLM_ACTIVATION_NONE = 0,
  VLM_ACTIVATION_GELU,       // x/2 * (1 + erf(x / sqrt 2))
  VLM_ACTIVATION_RELU,       // max(x, 0)
  VLM_ACTIVATION_GELU_TANH,  // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
  VLM_ACTIVATION_QUICK_GELU, // x * sigmoid(1.702 x)
  VLM_ACTIVATION_SILU,       // x * sigmoid(x)
  VLM_ACTIVATION_HARD_SWISH  // x * min(max(x + 3, 0), 6) / 6
} vlm_activation;

/// What is applied to a finished sum before it is stored:
///   y = residual + gamma * activation(sum + bias), without each part whose pointer is NULL.
typedef struct vlm_epilogue {
  const float *bias;      // [outputs]
  const float *gamma;     // [outputs]
  const float *residual;  // [rows][residual_stride]; may be y itself
  size_t residual_stride; // in elements
  vlm_activation activation;
} vlm_epilogue;

/// The part of an activation that its code cannot represent: `value` is added to what the code of
/// `column` stands for.
typedef struct vlm_outlier {
  uint32_t column;
  float value;
} vlm_outlier;

/// Outliers of a row of activations at most.
enum { VLM_MAX_OUTLIERS = 16 };

/// y[r][n] = epilogue( sum over k of x[r][k] * W[n][k] ) for all rows and the given panels.
typedef struct vlm_gemm {
  size_t rows, inputs, outputs;     // M, K, N
  const void *x;                    // [M][x_stride]: uint8_t for q3 to q8, float for f16 and bf16
  size_t x_stride;                  // in elements; for uint8_t a multiple of 64, >= K, zero-padded
  const vlm_row_quant *x_quant;     // [M], q3 to q8 only
  const void *weights;              // panels as in vlm_blocks.h, 64-byte aligned
  size_t panel_begin, panel_end;    // outputs 16*panel_begin ..< min(N, 16*panel_end)
  float *y;                         // [M][y_stride]
  size_t y_stride;                  // in elements
  vlm_epilogue epilogue;
  void *scratch;                    // gemm_scratch_bytes(inputs) bytes, 64-byte aligned, per thread
  /// q3 to q8: what is added behind the epilogue, as by add_outliers. [M][outliers_per_row],
  /// columns < K; NULL: nothing.
  const vlm_outlier *outliers;
  size_t outliers_per_row;
} vlm_gemm;

/// Depthwise convolution, channels last, stride 1, zero padding dilation*(kernel-1)/2 on each side.
typedef struct vlm_depthwise {
  size_t height, width, channels;   // of x; the output has the same
  size_t kernel;                    // odd
  size_t dilation;                  // >= 1
  size_t row_begin, row_end;        // output rows to compute
  const float *x;                   // [height][width][channels]
  const float *weights;             // [kernel][kernel][channels]
  const float *bias;                // [channels] or NULL
  float *y;                         // [row_end - row_begin][width][channels]
} vlm_depthwise;

typedef enum vlm_kv_format {
  VLM_KV_F32 = 0,
  VLM_KV_F16, // rounded to nearest, ties to even; past 65504 infinite
  VLM_KV_Q8,  // int8, one scale a position and head: scale = max |x| / 127, code = round(x / scale)
  VLM_KV_BF16 // rounded to nearest, ties to even; in pairs, as bf16 dot products read them. An
              // instruction set with such products also rounds queries and softmax weights
} vlm_kv_format;

/// The layout of one head's keys and values for positions 0 ..< capacity, d being the head's
/// dimension:
///   keys     [ceil(capacity/16)][d][16]   position 16*i + j, dimension k at [i][k][j]: a vector
///            sums 16 scores in its lanes, and each step of the sum reads one line
///   values   [capacity][vlm_value_stride(d)]   the columns past d are zeros
///   scales   [capacity], q8 only
/// bf16 lies in pairs, one in each 32-bit lane of a vector:
///   keys     [ceil(capacity/16)][vlm_key_rows(d)/2][16][2]   position 16*i + j, dimension 2*k + h
///            at [i][k][j][h]: whole AMX tiles of 32 dimensions; those past d are zeros
///   values   [ceil(capacity/2)][vlm_value_stride(d)][2]   position 2*i + h at [i][k][h]
/// The caller allocates them filled with zeros; 64-byte alignment is fastest.
typedef struct vlm_kv_head {
  vlm_kv_format format;
  size_t head_dim;
  void *keys, *values;
  float *key_scales, *value_scales;
} vlm_kv_head;

/// Positions of a panel of keys.
enum { VLM_KV_PANEL = 16 };

/// Elements from one position's values to the next.
static inline size_t vlm_value_stride(size_t head_dim) { return (head_dim + 15) / 16 * 16; }
/// Dimensions of a panel of keys.
static inline size_t vlm_key_rows(vlm_kv_format format, size_t head_dim) {
  return format == VLM_KV_BF16 ? (head_dim + 31) / 32 * 32 : head_dim;
}
static inline size_t vlm_kv_element_bytes(vlm_kv_format format) {
  return format == VLM_KV_F32 ? 4 : format == VLM_KV_Q8 ? 1 : 2;
}

/// Attention over one key-value head, whose keys and values `group` query heads share:
///   y[r][g] = sum over j of softmax_j(score(q[r][g] . key[j])) * value[j]
///   score(s) = scale * s, with a cap cap * tanh(scale * s / cap)
/// over the positions j < count, or if causal, j < min(count, position + r + 1). count > 0. With a
/// window only the last `window` of these positions count.
///
/// Keys and values may lie in pages, each laid out as a head of its own with page_keys positions. The
/// bits of y do not depend on it.
typedef struct vlm_attention {
  size_t rows, group;
  size_t count;
  bool causal;
  size_t position;
  float scale;
  float cap;                        // 0: none
  size_t window;                    // only if causal; 0: none
  const float *q;                   // [rows][q_stride], query head g of the group at g * head_dim
  size_t q_stride;
  vlm_kv_head kv;                   // of the first position, or with pages of one at distance 0
  bool pairs;                       // f16 without cap and window: an instruction set with products of
                                    // bf16 may round keys, values, queries and softmax weights to it
  const size_t *pages;              // [ceil(count/page_keys)] bytes from kv's places to those of each
                                    // page, multiples of 64; NULL: all positions lie in kv
  size_t page_keys;                 // with pages: a multiple of VLM_KV_PANEL, of bf16 twice that
  float *y;                         // [rows][y_stride], laid out as q; not q itself
  size_t y_stride;
  void *scratch;                    // attention_scratch_bytes(head_dim) bytes, 64-byte aligned
} vlm_attention;

typedef struct vlm_kernels {
  vlm_isa isa;
  const char *name;                 // "scalar", "sse41", "avx2", "amx", ...

  /// Bytes of per-thread scratch that the gemm functions need for K inputs.
  size_t (*gemm_scratch_bytes)(size_t inputs);
  void (*gemm_u8_q8)(const vlm_gemm *);
  void (*gemm_u8_q3)(const vlm_gemm *);
  void (*gemm_u8_q4)(const vlm_gemm *);
  void (*gemm_u8_q5)(const vlm_gemm *);
  void (*gemm_u8_q6)(const vlm_gemm *);
  /// y[r][n] += sum over the row's outliers, in their order, of value * W[n][column]: what a product
  /// of u8 does with vlm_gemm's outliers, by itself. outliers [rows][per_row], columns < inputs; x,
  /// x_quant, epilogue, scratch and vlm_gemm's own outliers are not read. The same bits on every
  /// instruction set.
  void (*add_outliers_q8)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);
  void (*add_outliers_q3)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);
  void (*add_outliers_q4)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);
  void (*add_outliers_q5)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);
  void (*add_outliers_q6)(const vlm_gemm *, size_t per_row, const vlm_outlier *outliers);
  void (*gemm_f32_f16)(const vlm_gemm *);
  void (*gemm_f32_bf16)(const vlm_gemm *);

  /// y[r][n] = sum over k of x[r][k] * w[n][k], added to y if `adds`: the f32 product where no BLAS
  /// is loaded. x [rows][x_stride], w [outputs][inputs], y [rows][y_stride]; y must not be x.
  void (*multiply_f32)(size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride,
                       const float *w, bool adds, float *y, size_t y_stride);
  /// y = epilogue(y) in place, y [rows][y_stride]; called after an f32 product.
  void (*epilogue_f32)(size_t rows, size_t outputs, float *y, size_t y_stride,
                       const vlm_epilogue *epilogue);

  /// Per row: minimum = min x, scale = (max x - min x) / 255, u = round((x - minimum) / scale),
  /// ties to even; a constant row has scale 0 and u 0. Writes zeros up to q_stride.
  void (*quantize_rows_u8)(size_t rows, size_t columns, const float *x, size_t x_stride,
                           uint8_t *q, size_t q_stride, vlm_row_quant *quant);
  /// Removes the `per_row` largest magnitudes from each row, at most VLM_MAX_OUTLIERS, so that the
  /// rest can be quantized in smaller steps. outliers [rows][per_row] gets their columns and values,
  /// largest first, of equal ones the earlier first; x gets the next largest value in their place.
  /// Rows with at most `per_row` columns keep their values, and their outliers are zeros. NaN is
  /// never an outlier.
  void (*take_outliers)(size_t rows, size_t columns, size_t per_row, float *x, size_t x_stride,
                        vlm_outlier *outliers);

  /// Per row: (x - mean) / sqrt(variance + epsilon) * weight + bias; biased variance, f32 out.
  /// weight and bias may be NULL. y may be x.
  void (*layer_norm_f32)(size_t rows, size_t channels, const float *x, size_t x_stride,
                         const float *weight, const float *bias, float epsilon,
                         float *y, size_t y_stride);

  void (*depthwise_f32)(const vlm_depthwise *);

  /// y[i] = activation(x[i]); y may be x.
  void (*activation_f32)(size_t count, vlm_activation activation, const float *x, float *y);

  /// sums[c] += sum over rows of x[r][c]^2 (GRN statistics).
  void (*sum_squares_f32)(size_t rows, size_t channels, const float *x, size_t x_stride,
                          float *sums);
  /// y[r][c] = x[r][c] * scale[c] + shift[c]; y may be x.
  void (*scale_shift_f32)(size_t rows, size_t channels, const float *x, size_t x_stride,
                          const float *scale, const float *shift, float *y, size_t y_stride);

  /// Per row: x / sqrt(mean of x^2 + epsilon) * weight. weight may be NULL; y may be x.
  void (*rms_norm_f32)(size_t rows, size_t channels, const float *x, size_t x_stride,
                       const float *weight, float epsilon, float *y, size_t y_stride);
  /// Per row: x / sqrt(variance + epsilon) * weight; unbiased variance, the mean stays. weight may
  /// be NULL; y may be x.
  void (*simple_norm_f32)(size_t rows, size_t channels, const float *x, size_t x_stride,
                          const float *weight, float epsilon, float *y, size_t y_stride);

  /// Rotary position embedding in place: rotates each pair (x[i], x[i + head_dim/2]) of each head
  /// by the angle whose cosine c and sine s are given:
  ///   x[i] c - x[i + head_dim/2] s,   x[i + head_dim/2] c + x[i] s
  /// x [rows][x_stride], heads * head_dim columns; cosines, sines [rows][stride], head_dim/2
  /// columns.
  void (*rotate_half_f32)(size_t rows, size_t heads, size_t head_dim, float *x, size_t x_stride,
                          const float *cosines, const float *sines, size_t stride);

  /// y = activation(gate) * up, as in SwiGLU; y may be gate or up.
  void (*gate_f32)(size_t rows, size_t columns, vlm_activation activation, const float *gate,
                   size_t gate_stride, const float *up, size_t up_stride, float *y,
                   size_t y_stride);

  /// y[i] = cap * tanh(x[i] / cap); y may be x. cap > 0.
  void (*soft_cap_f32)(size_t count, float cap, const float *x, float *y);

  /// Stores keys and values [rows][stride] of one head at the positions from `position` on.
  void (*store_keys_values)(const vlm_kv_head *kv, size_t position, size_t rows,
                            const float *keys, size_t keys_stride, const float *values,
                            size_t values_stride);

  /// Bytes of per-thread scratch that attention_f32 needs.
  size_t (*attention_scratch_bytes)(size_t head_dim);
  void (*attention_f32)(const vlm_attention *);
} vlm_kernels;

/// Subtracts from each outlier's value what the code at its column stands for, so that only the
/// difference remains to be added; outliers [rows][per_row] as take_outliers leaves them. Plain C,
/// the same on every machine.
void vlm_settle_outliers(size_t rows, size_t columns, size_t per_row, const uint8_t *codes,
                         size_t stride, const vlm_row_quant *quants, vlm_outlier *outliers);

/// Row `output` of a matrix in panels as floats, y [inputs], for lookups in a table of embeddings.
/// Values are as formats/blocks.md defines them, rounded once. Plain C, the same on every machine.
void vlm_panel_row_q8(const void *weights, size_t inputs, size_t output, float *y);
/// `bits` is 3, 4, 5 or 6: q3 to q6.
void vlm_panel_row_qn(const void *weights, size_t bits, size_t inputs, size_t output, float *y);
void vlm_panel_row_f16(const void *weights, size_t inputs, size_t output, float *y);
void vlm_panel_row_bf16(const void *weights, size_t inputs, size_t output, float *y);

/// The table of an instruction set; NULL if this build lacks it or this machine cannot run it.
const vlm_kernels *vlm_kernels_for(vlm_isa isa);

#endif
