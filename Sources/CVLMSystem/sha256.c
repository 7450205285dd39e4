// SHA-256 after FIPS 180-4: a portable block function, and one on the x86 SHA extensions.
#include <string.h>

#include "vlm_hash.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

static inline uint32_t load_big(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void store_big(uint8_t *p, uint32_t x) {
  p[0] = (uint8_t)(x >> 24), p[1] = (uint8_t)(x >> 16), p[2] = (uint8_t)(x >> 8), p[3] = (uint8_t)x;
}

void vlm_sha256_blocks_portable(uint32_t word[8], const uint8_t *data, size_t count) {
  for (; count > 0; count--, data += 64) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++) w[t] = load_big(data + 4 * t);
    for (int t = 16; t < 64; t++) {
      uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
      uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = word[0], b = word[1], c = word[2], d = word[3];
    uint32_t e = word[4], f = word[5], g = word[6], h = word[7];
    for (int t = 0; t < 64; t++) {
      uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + K[t] + w[t];
      uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    word[0] += a, word[1] += b, word[2] += c, word[3] += d;
    word[4] += e, word[5] += f, word[6] += g, word[7] += h;
  }
}

#if defined(__x86_64__)

bool vlm_sha256_has_extensions(void) {
  uint32_t leaf = 0, a, b, c, d;
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(0));
  if (a < 7) return false;
  leaf = 1;
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(0));
  bool ssse3 = c >> 9 & 1, sse41 = c >> 19 & 1;
  leaf = 7;
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(0));
  return ssse3 && sse41 && (b >> 29 & 1);
}

// The instructions keep the state as ABEF and CDGH and do two rounds each.
__attribute__((target("sha,ssse3,sse4.1"))) void vlm_sha256_blocks_extensions(
    uint32_t word[8], const uint8_t *data, size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef = _mm_set_epi32((int)word[0], (int)word[1], (int)word[4], (int)word[5]);
  __m128i cdgh = _mm_set_epi32((int)word[2], (int)word[3], (int)word[6], (int)word[7]);
  for (; count > 0; count--, data += 64) {
    __m128i w[4], before_abef = abef, before_cdgh = cdgh;
    for (int i = 0; i < 4; i++) {
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i), swap);
    }
    // Four rounds a step; w is a ring of the last sixteen schedule words.
    for (int i = 0; i < 16; i++) {
      __m128i now = w[i & 3];
      __m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(K + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
      if (i < 12) {
        __m128i last = w[(i + 3) & 3];
        __m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
        w[i & 3] = _mm_sha256msg2_epu32(next, last);
      }
    }
    abef = _mm_add_epi32(abef, before_abef);
    cdgh = _mm_add_epi32(cdgh, before_cdgh);
  }
  word[0] = (uint32_t)_mm_extract_epi32(abef, 3), word[1] = (uint32_t)_mm_extract_epi32(abef, 2);
  word[4] = (uint32_t)_mm_extract_epi32(abef, 1), word[5] = (uint32_t)_mm_extract_epi32(abef, 0);
  word[2] = (uint32_t)_mm_extract_epi32(cdgh, 3), word[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
  word[6] = (uint32_t)_mm_extract_epi32(cdgh, 1), word[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

#else

bool vlm_sha256_has_extensions(void) { return false; }
void vlm_sha256_blocks_extensions(uint32_t word[8], const uint8_t *data, size_t count) {
  vlm_sha256_blocks_portable(word, data, count);
}

#endif

static void blocks(uint32_t word[8], const uint8_t *data, size_t count) {
  if (count == 0) return;
  // Asked each time: cheap beside the data that callers pass, and leaves no global state.
  if (count >= 16 && vlm_sha256_has_extensions()) {
    vlm_sha256_blocks_extensions(word, data, count);
  } else {
    vlm_sha256_blocks_portable(word, data, count);
  }
}

void vlm_sha256_begin(vlm_sha256 *state) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memset(state, 0, sizeof *state);
  memcpy(state->word, start, sizeof start);
}

void vlm_sha256_update(vlm_sha256 *state, const void *data, size_t size) {
  if (size == 0) return;
  const uint8_t *p = data;
  size_t held = state->total % 64;
  state->total += size;
  if (held > 0) {
    size_t take = 64 - held < size ? 64 - held : size;
    memcpy(state->pending + held, p, take);
    p += take, size -= take;
    if (held + take < 64) return;
    blocks(state->word, state->pending, 1);
  }
  blocks(state->word, p, size / 64);
  memcpy(state->pending, p + size / 64 * 64, size % 64);
}

void vlm_sha256_digest(const vlm_sha256 *state, uint8_t digest[32]) {
  uint32_t word[8];
  memcpy(word, state->word, sizeof word);
  uint8_t tail[128] = {0};
  size_t held = state->total % 64;
  memcpy(tail, state->pending, held);
  tail[held] = 0x80;
  size_t size = held < 56 ? 64 : 128;
  store_big(tail + size - 8, (uint32_t)(state->total >> 29));
  store_big(tail + size - 4, (uint32_t)(state->total << 3));
  blocks(word, tail, size / 64);
  for (int i = 0; i < 8; i++) store_big(digest + 4 * i, word[i]);
}
