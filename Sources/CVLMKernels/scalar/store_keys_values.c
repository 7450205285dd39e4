// Keys and values to their places; layouts and rounding at vlm_kv_head and vlm_kv_format.
//
//   exactness  the same bits on every instruction set, but for NaN; q8: |x - code * scale| <=
//              (1/2 + 2^-16) * scale. A head that is not finite gets a scale that is not finite
#include "scalar.h"

static void store(vlm_kv_format format, void *to, size_t at, float value, float inverse) {
  switch (format) {
  case VLM_KV_F32: ((float *)to)[at] = value; return;
  case VLM_KV_F16: ((uint16_t *)to)[at] = vlm_to_f16__scalar(value); return;
  case VLM_KV_BF16: ((uint16_t *)to)[at] = vlm_to_bf16(value); return;
  case VLM_KV_Q8: ((int8_t *)to)[at] = inverse > 0 ? (int8_t)rintf(value * inverse) : 0; return;
  }
}

void vlm_store_keys_values__scalar(
    const vlm_kv_head *kv, size_t position, size_t rows, const float *keys, size_t keys_stride,
    const float *values, size_t values_stride) {
  const size_t d = kv->head_dim;
  for (size_t r = 0; r < rows; r++) {
    const float *k = keys + r * keys_stride, *v = values + r * values_stride;
    const size_t at = position + r;
    vlm_kv_scale key_scale = {0, 0}, value_scale = {0, 0};
    if (kv->format == VLM_KV_Q8) {
      float key_size = 0, value_size = 0;
      for (size_t i = 0; i < d; i++) {
        key_size = isnan(k[i]) ? INFINITY : fmaxf(key_size, fabsf(k[i]));
        value_size = isnan(v[i]) ? INFINITY : fmaxf(value_size, fabsf(v[i]));
      }
      key_scale = vlm_kv_scale_of(key_size);
      value_scale = vlm_kv_scale_of(value_size);
      kv->key_scales[at] = key_scale.scale;
      kv->value_scales[at] = value_scale.scale;
    }
    for (size_t i = 0; i < d; i++) {
      const size_t key_at = vlm_key_place(kv->format, d, at, i);
      const size_t value_at = vlm_value_place(kv->format, d, at, i);
      store(kv->format, kv->keys, key_at, k[i], key_scale.inverse);
      store(kv->format, kv->values, value_at, v[i], value_scale.inverse);
    }
  }
}
