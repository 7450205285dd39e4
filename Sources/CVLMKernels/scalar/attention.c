// y = softmax(scale * q . keys) values, one query head after the other; contract at vlm_attention
//
//   method     the scores are made three times, so that none has to be kept
//   exactness  in double, each output rounded to float once
//   scratch    the sums of one query head
#include "scalar.h"

size_t vlm_attention_scratch_bytes__scalar(size_t head_dim) { return head_dim * sizeof(double); }

static double load(vlm_kv_format format, const void *from, size_t at) {
  switch (format) {
  case VLM_KV_F32: return ((const float *)from)[at];
  case VLM_KV_F16: return vlm_from_f16__scalar(((const uint16_t *)from)[at]);
  case VLM_KV_BF16: return vlm_from_bf16__scalar(((const uint16_t *)from)[at]);
  case VLM_KV_Q8: return ((const int8_t *)from)[at];
  }
  return 0;
}

static double score(const vlm_attention *a, const float *q, size_t key) {
  const size_t d = a->kv.head_dim;
  double sum = 0;
  for (size_t k = 0; k < d; k++)
    sum += q[k] * load(a->kv.format, a->kv.keys, vlm_key_place(a->kv.format, d, key, k));
  if (a->kv.format == VLM_KV_Q8) sum *= a->kv.key_scales[key];
  return sum * a->scale;
}

static void one_head(const vlm_attention *a, const float *q, size_t count, float *y) {
  const size_t d = a->kv.head_dim;
  double largest = -INFINITY, total = 0, *sums = a->scratch;
  for (size_t j = 0; j < count; j++) largest = fmax(largest, score(a, q, j));
  for (size_t k = 0; k < d; k++) sums[k] = 0;
  for (size_t j = 0; j < count; j++) {
    double weight = exp(score(a, q, j) - largest);
    total += weight;
    if (a->kv.format == VLM_KV_Q8) weight *= a->kv.value_scales[j];
    for (size_t k = 0; k < d; k++)
      sums[k] += weight * load(a->kv.format, a->kv.values, vlm_value_place(a->kv.format, d, j, k));
  }
  for (size_t k = 0; k < d; k++) y[k] = (float)(sums[k] / total);
}

void vlm_attention_f32__scalar(const vlm_attention *a) {
  for (size_t r = 0; r < a->rows; r++)
    for (size_t g = 0; g < a->group; g++) {
      const size_t head = g * a->kv.head_dim;
      one_head(
          a, a->q + r * a->q_stride + head, vlm_visible_keys(a, r), a->y + r * a->y_stride + head);
    }
}
