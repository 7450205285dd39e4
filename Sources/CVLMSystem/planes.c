#include "vlm_planes.h"

#include <string.h>

// The loops are simple for the compiler to turn them into vectors; planes of a word lie `count` bytes
// apart.

static void split2(const uint8_t *in, uint8_t *out, size_t count, int turn) {
  for (size_t i = 0; i < count; i++) {
    uint16_t word;
    memcpy(&word, in + 2 * i, 2);
    word = (uint16_t)(turn ? (word << 1) | (word >> 15) : word);
    out[i] = (uint8_t)word;
    out[count + i] = (uint8_t)(word >> 8);
  }
}

static void join2(const uint8_t *in, uint8_t *out, size_t count, int turn) {
  for (size_t i = 0; i < count; i++) {
    uint16_t word = (uint16_t)(in[i] | in[count + i] << 8);
    word = (uint16_t)(turn ? (word >> 1) | (word << 15) : word);
    memcpy(out + 2 * i, &word, 2);
  }
}

static void split4(const uint8_t *in, uint8_t *out, size_t count, int turn) {
  for (size_t i = 0; i < count; i++) {
    uint32_t word;
    memcpy(&word, in + 4 * i, 4);
    word = turn ? (word << 1) | (word >> 31) : word;
    out[i] = (uint8_t)word;
    out[count + i] = (uint8_t)(word >> 8);
    out[2 * count + i] = (uint8_t)(word >> 16);
    out[3 * count + i] = (uint8_t)(word >> 24);
  }
}

static void join4(const uint8_t *in, uint8_t *out, size_t count, int turn) {
  for (size_t i = 0; i < count; i++) {
    uint32_t word = (uint32_t)in[i] | (uint32_t)in[count + i] << 8 |
                    (uint32_t)in[2 * count + i] << 16 | (uint32_t)in[3 * count + i] << 24;
    word = turn ? (word >> 1) | (word << 31) : word;
    memcpy(out + 4 * i, &word, 4);
  }
}

void vlm_split_planes(const uint8_t *in, uint8_t *out, size_t count, int width, int turn) {
  if (width == 2) {
    split2(in, out, count, turn);
  } else {
    split4(in, out, count, turn);
  }
}

void vlm_join_planes(const uint8_t *in, uint8_t *out, size_t count, int width, int turn) {
  if (width == 2) {
    join2(in, out, count, turn);
  } else {
    join4(in, out, count, turn);
  }
}

int vlm_lowest_bytes_are_zero(const uint8_t *in, size_t count, int width) {
  for (size_t i = 0; i < count; i++) {
    if (in[i * (size_t)width] != 0) {
      return 0;
    }
  }
  return 1;
}

void vlm_copy_pieces(
    const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, size_t width,
    size_t count) {
  for (size_t i = 0; i < count; i++) {
    memcpy(out + i * out_stride, in + i * in_stride, width);
  }
}
