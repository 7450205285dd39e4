// XXH64, seed 0. Algorithm: "xxHash fast digest algorithm", version 0.2.0, sections 3 and 4.
#include <string.h>

#include "vlm_hash.h"

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static inline uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

// Little-endian hosts only; the Swift side refuses to compile on others.
static inline uint64_t load64(const uint8_t *p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}
static inline uint32_t load32(const uint8_t *p) {
  uint32_t x;
  memcpy(&x, p, 4);
  return x;
}

static inline uint64_t round_lane(uint64_t lane, uint64_t input) {
  return rotate(lane + input * P2, 31) * P1;
}

// Whole stripes of 32 bytes: four independent chains, so the multiplications overlap.
static void stripes(uint64_t lane[4], const uint8_t *p, size_t count) {
  uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
  for (; count > 0; count--, p += 32) {
    a = round_lane(a, load64(p));
    b = round_lane(b, load64(p + 8));
    c = round_lane(c, load64(p + 16));
    d = round_lane(d, load64(p + 24));
  }
  lane[0] = a, lane[1] = b, lane[2] = c, lane[3] = d;
}

void vlm_xxh64_begin(vlm_xxh64 *state) {
  memset(state, 0, sizeof *state);
  state->lane[0] = P1 + P2;
  state->lane[1] = P2;
  state->lane[2] = 0;
  state->lane[3] = 0 - P1;
}

void vlm_xxh64_update(vlm_xxh64 *state, const void *data, size_t size) {
  if (size == 0) return;
  const uint8_t *p = data;
  size_t held = state->total % 32;
  state->total += size;
  if (held > 0) {
    size_t take = 32 - held < size ? 32 - held : size;
    memcpy(state->pending + held, p, take);
    p += take, size -= take;
    if (held + take < 32) return;
    stripes(state->lane, state->pending, 1);
  }
  stripes(state->lane, p, size / 32);
  memcpy(state->pending, p + size / 32 * 32, size % 32);
}

uint64_t vlm_xxh64_digest(const vlm_xxh64 *state) {
  const uint64_t *lane = state->lane;
  uint64_t hash;
  if (state->total >= 32) {
    hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
    for (int i = 0; i < 4; i++) hash = (hash ^ round_lane(0, lane[i])) * P1 + P4;
  } else {
    hash = P5;
  }
  hash += state->total;

  const uint8_t *p = state->pending;
  size_t left = state->total % 32;
  for (; left >= 8; p += 8, left -= 8) {
    hash = rotate(hash ^ round_lane(0, load64(p)), 27) * P1 + P4;
  }
  if (left >= 4) {
    hash = rotate(hash ^ load32(p) * P1, 23) * P2 + P3;
    p += 4, left -= 4;
  }
  for (; left > 0; p++, left--) hash = rotate(hash ^ *p * P5, 11) * P1;

  hash = (hash ^ hash >> 33) * P2;
  hash = (hash ^ hash >> 29) * P3;
  return hash ^ hash >> 32;
}

bool vlm_is_zero(const void *data, size_t size) {
  const uint8_t *p = data;
  uint64_t any = 0;
  for (; size >= 8; p += 8, size -= 8) any |= load64(p);
  for (; size > 0; p++, size--) any |= *p;
  return any == 0;
}
