// The decoders of GGUF blocks, included once per instruction set.
//
// Each block is a run of bytes without padding. Loops run over whole bytes of codes with fixed
// counts, so that the compiler turns them into vectors.
#include <string.h>

#include "vlm_gguf.h"

#define GGUF_INLINE static inline __attribute__((always_inline))

/// IEEE binary16 at `p`. Shifted to a float's place the bits are 2^-112 times the value,
/// subnormals too; an exponent of all ones stays one.
GGUF_INLINE float gguf_half(const uint8_t *p) {
  const uint32_t half = (uint32_t)p[0] | (uint32_t)p[1] << 8;
  uint32_t bits = (half & 0x7fff) << 13;
  float value;
  memcpy(&value, &bits, sizeof value);
  value *= 0x1p112f;
  memcpy(&bits, &value, sizeof bits);
  bits |= (half & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
  bits |= (half & 0x8000) << 16;
  memcpy(&value, &bits, sizeof value);
  return value;
}

GGUF_INLINE uint32_t gguf_word(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/// d, 32 signed bytes.
static void gguf_q8_0(const uint8_t *block, float *y) {
  const float d = gguf_half(block);
  const int8_t *q = (const int8_t *)(block + 2);
  for (int i = 0; i < 32; i++) y[i] = d * (float)q[i];
}

/// d, 16 bytes: low nibbles are the first 16 codes, high ones the others; d (q - 8).
static void gguf_q4_0(const uint8_t *block, float *y) {
  const float d = gguf_half(block);
  const uint8_t *q = block + 2;
  for (int i = 0; i < 16; i++) y[i] = d * (float)((q[i] & 15) - 8);
  for (int i = 0; i < 16; i++) y[16 + i] = d * (float)((q[i] >> 4) - 8);
}

/// d, m, 16 bytes as above; d q + m.
static void gguf_q4_1(const uint8_t *block, float *y) {
  const float d = gguf_half(block), m = gguf_half(block + 2);
  const uint8_t *q = block + 4;
  for (int i = 0; i < 16; i++) y[i] = d * (float)(q[i] & 15) + m;
  for (int i = 0; i < 16; i++) y[16 + i] = d * (float)(q[i] >> 4) + m;
}

/// The codes of 32 five-bit values: a word of fifth bits, then 16 bytes of nibbles.
GGUF_INLINE void gguf_five(const uint8_t *block, int32_t *codes) {
  const uint32_t high = gguf_word(block);
  const uint8_t *q = block + 4;
  for (int i = 0; i < 16; i++) codes[i] = (int32_t)((q[i] & 15) | (high >> i & 1) << 4);
  for (int i = 0; i < 16; i++)
    codes[16 + i] = (int32_t)((uint32_t)(q[i] >> 4) | (high >> (16 + i) & 1) << 4);
}

/// d, five-bit codes; d (q - 16).
static void gguf_q5_0(const uint8_t *block, float *y) {
  const float d = gguf_half(block);
  int32_t codes[32];
  gguf_five(block + 2, codes);
  for (int i = 0; i < 32; i++) y[i] = d * (float)(codes[i] - 16);
}

/// d, m, five-bit codes; d q + m.
static void gguf_q5_1(const uint8_t *block, float *y) {
  const float d = gguf_half(block), m = gguf_half(block + 2);
  int32_t codes[32];
  gguf_five(block + 4, codes);
  for (int i = 0; i < 32; i++) y[i] = d * (float)codes[i] + m;
}

/// 16 bytes of a scale and a minimum in nibbles, 64 bytes of two-bit codes, d, dmin. Codes lie in
/// halves of 32 bytes: the lowest bits of all 32 first, then the next.
static void gguf_q2_k(const uint8_t *block, float *y) {
  const uint8_t *scales = block, *q = block + 16;
  const float d = gguf_half(block + 80), dmin = gguf_half(block + 82);
  for (int part = 0; part < 16; part++) {
    const float scale = d * (float)(scales[part] & 15);
    const float minimum = dmin * (float)(scales[part] >> 4);
    const int shift = part % 8 / 2 * 2;
    const uint8_t *codes = q + part / 8 * 32 + part % 2 * 16;
    for (int i = 0; i < 16; i++)
      y[part * 16 + i] = scale * (float)(codes[i] >> shift & 3) - minimum;
  }
}

/// 32 bytes of third bits (clear: 4 is taken off), 64 bytes of two-bit codes as above, 16 six-bit
/// scales in 12 bytes (nibbles first, then their upper two bits; less 32), d.
static void gguf_q3_k(const uint8_t *block, float *y) {
  const uint8_t *high = block, *q = block + 32, *packed = block + 96;
  const float d = gguf_half(block + 108);
  for (int part = 0; part < 16; part++) {
    const int low = part < 8 ? packed[part] & 15 : packed[part - 8] >> 4;
    const int top = packed[8 + part % 4] >> part / 4 * 2 & 3;
    const float scale = d * (float)((low | top << 4) - 32);
    const int shift = part % 8 / 2 * 2, bit = part / 2;
    const uint8_t *codes = q + part / 8 * 32 + part % 2 * 16;
    const uint8_t *thirds = high + part % 2 * 16;
    for (int i = 0; i < 16; i++) {
      const int code = (codes[i] >> shift & 3) - ((thirds[i] >> bit & 1) ? 0 : 4);
      y[part * 16 + i] = scale * (float)code;
    }
  }
}

/// Eight six-bit scales and eight six-bit minima in 12 bytes.
GGUF_INLINE void gguf_six(const uint8_t *p, uint8_t scale[8], uint8_t minimum[8]) {
  for (int i = 0; i < 4; i++) {
    scale[i] = p[i] & 63;
    minimum[i] = p[i + 4] & 63;
    scale[i + 4] = (uint8_t)((p[i + 8] & 15) | p[i] >> 6 << 4);
    minimum[i + 4] = (uint8_t)(p[i + 8] >> 4 | p[i + 4] >> 6 << 4);
  }
}

/// d, dmin, scales and minima of 32 values each, 128 bytes of nibbles: of every 32 bytes the low
/// ones first.
static void gguf_q4_k(const uint8_t *block, float *y) {
  const float d = gguf_half(block), dmin = gguf_half(block + 2);
  uint8_t scale[8], minimum[8];
  gguf_six(block + 4, scale, minimum);
  for (int part = 0; part < 8; part++) {
    const float s = d * (float)scale[part], m = dmin * (float)minimum[part];
    const uint8_t *q = block + 16 + part / 2 * 32;
    const int shift = part % 2 * 4;
    for (int i = 0; i < 32; i++) y[part * 32 + i] = s * (float)(q[i] >> shift & 15) - m;
  }
}

/// As Q4_K, with 32 bytes of fifth bits before the nibbles, a bit for each part.
static void gguf_q5_k(const uint8_t *block, float *y) {
  const float d = gguf_half(block), dmin = gguf_half(block + 2);
  uint8_t scale[8], minimum[8];
  gguf_six(block + 4, scale, minimum);
  const uint8_t *high = block + 16;
  for (int part = 0; part < 8; part++) {
    const float s = d * (float)scale[part], m = dmin * (float)minimum[part];
    const uint8_t *q = block + 48 + part / 2 * 32;
    const int shift = part % 2 * 4;
    for (int i = 0; i < 32; i++) {
      const int code = (q[i] >> shift & 15) | (high[i] >> part & 1) << 4;
      y[part * 32 + i] = s * (float)code - m;
    }
  }
}

/// 128 bytes of nibbles, 64 of upper bit pairs, 16 signed scales of 16 values each, d. In each
/// half of 128 values, four runs of 32: two of low nibbles, two of high ones.
static void gguf_q6_k(const uint8_t *block, float *y) {
  const int8_t *scales = (const int8_t *)(block + 192);
  const float d = gguf_half(block + 208);
  for (int part = 0; part < 16; part++) {
    const int half = part / 8, run = part % 8 / 2, offset = part % 2 * 16;
    const float scale = d * (float)scales[part];
    const uint8_t *low = block + half * 64 + run % 2 * 32 + offset;
    const uint8_t *high = block + 128 + half * 32 + offset;
    const int shift = run / 2 * 4, pair = run * 2;
    for (int i = 0; i < 16; i++) {
      const int code = (low[i] >> shift & 15) | (high[i] >> pair & 3) << 4;
      y[part * 16 + i] = scale * (float)(code - 32);
    }
  }
}

/// What the sixteen codes of the IQ4 types stand for.
static const int8_t gguf_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

/// d, 16 bytes of nibbles as Q4_0.
static void gguf_iq4_nl(const uint8_t *block, float *y) {
  const float d = gguf_half(block);
  const uint8_t *q = block + 2;
  for (int i = 0; i < 16; i++) y[i] = d * (float)gguf_iq4[q[i] & 15];
  for (int i = 0; i < 16; i++) y[16 + i] = d * (float)gguf_iq4[q[i] >> 4];
}

/// d, two bytes of upper bit pairs and four of nibbles of eight scales less 32, 128 bytes of
/// nibbles in runs as Q4_0.
static void gguf_iq4_xs(const uint8_t *block, float *y) {
  const float d = gguf_half(block);
  const uint32_t high = (uint32_t)block[2] | (uint32_t)block[3] << 8;
  for (int part = 0; part < 8; part++) {
    const int low = block[4 + part / 2] >> part % 2 * 4 & 15;
    const float scale = d * (float)((low | (int)(high >> part * 2 & 3) << 4) - 32);
    const uint8_t *q = block + 8 + part * 16;
    float *out = y + part * 32;
    for (int i = 0; i < 16; i++) out[i] = scale * (float)gguf_iq4[q[i] & 15];
    for (int i = 0; i < 16; i++) out[16 + i] = scale * (float)gguf_iq4[q[i] >> 4];
  }
}

#define GGUF_EACH(decode, elements, size)                                                        \
  for (size_t b = 0; b < blocks; b++) decode(bytes + b * (size), values + b * (elements));        \
  break

static void gguf_decode(uint32_t type, size_t blocks, const uint8_t *bytes, float *values) {
  switch (type) {
  case VLM_GGUF_Q4_0: GGUF_EACH(gguf_q4_0, 32, 18);
  case VLM_GGUF_Q4_1: GGUF_EACH(gguf_q4_1, 32, 20);
  case VLM_GGUF_Q5_0: GGUF_EACH(gguf_q5_0, 32, 22);
  case VLM_GGUF_Q5_1: GGUF_EACH(gguf_q5_1, 32, 24);
  case VLM_GGUF_Q8_0: GGUF_EACH(gguf_q8_0, 32, 34);
  case VLM_GGUF_Q2_K: GGUF_EACH(gguf_q2_k, 256, 84);
  case VLM_GGUF_Q3_K: GGUF_EACH(gguf_q3_k, 256, 110);
  case VLM_GGUF_Q4_K: GGUF_EACH(gguf_q4_k, 256, 144);
  case VLM_GGUF_Q5_K: GGUF_EACH(gguf_q5_k, 256, 176);
  case VLM_GGUF_Q6_K: GGUF_EACH(gguf_q6_k, 256, 210);
  case VLM_GGUF_IQ4_NL: GGUF_EACH(gguf_iq4_nl, 32, 18);
  case VLM_GGUF_IQ4_XS: GGUF_EACH(gguf_iq4_xs, 256, 136);
  default: break;
  }
}
