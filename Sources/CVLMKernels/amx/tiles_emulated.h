// The tile instructions in plain C, for tests on machines without them. Never in a shipped build.
#ifndef VLM_AMX_TILES_EMULATED_H
#define VLM_AMX_TILES_EMULATED_H

typedef struct {
  size_t rows, row_bytes;
  uint8_t data[16][64];
} vlm_emulated_tile;

static _Thread_local vlm_emulated_tile vlm_tiles[8];

static inline void vlm_tile_configure(const vlm_tile_config *c) {
  memset(vlm_tiles, 0, sizeof vlm_tiles);
  for (int t = 0; t < 8; t++) {
    vlm_tiles[t].rows = c->rows[t];
    vlm_tiles[t].row_bytes = c->row_bytes[t];
  }
}

static inline void vlm_tile_release(void) { memset(vlm_tiles, 0, sizeof vlm_tiles); }

static inline void vlm_tile_zero(int t) {
  memset(vlm_tiles[t].data, 0, sizeof vlm_tiles[t].data);
}

static inline void vlm_tile_load(int t, const void *from, size_t stride) {
  vlm_tile_zero(t);
  for (size_t r = 0; r < vlm_tiles[t].rows; r++)
    memcpy(vlm_tiles[t].data[r], (const uint8_t *)from + r * stride, vlm_tiles[t].row_bytes);
}

static inline void vlm_tile_store(int t, void *to, size_t stride) {
  for (size_t r = 0; r < vlm_tiles[t].rows; r++)
    memcpy((uint8_t *)to + r * stride, vlm_tiles[t].data[r], vlm_tiles[t].row_bytes);
}

/// c[m][n] += sum over k of u8 a[m][k] * s8 b[k / 4][n][k % 4]
static inline void vlm_tile_dpbusd(int c, int a, int b) {
  for (size_t m = 0; m < vlm_tiles[c].rows; m++) {
    for (size_t n = 0; n < 16; n++) {
      int32_t sum;
      memcpy(&sum, &vlm_tiles[c].data[m][n * 4], 4);
      for (size_t k = 0; k < 64; k++)
        sum += vlm_tiles[a].data[m][k] * (int8_t)vlm_tiles[b].data[k / 4][n * 4 + k % 4];
      memcpy(&vlm_tiles[c].data[m][n * 4], &sum, 4);
    }
  }
}

static inline float vlm_emulated_bf16(const uint8_t *bytes) {
  const uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

/// c[m][n] += sum over k of bf16 a[m][k] * bf16 b[k / 2][n][k % 2], even and odd k summed apart
static inline void vlm_tile_dpbf16ps(int c, int a, int b) {
  for (size_t m = 0; m < vlm_tiles[c].rows; m++) {
    for (size_t n = 0; n < 16; n++) {
      float sums[2] = {0, 0}, sum;
      for (size_t k = 0; k < 32; k++) {
        const float x = vlm_emulated_bf16(&vlm_tiles[a].data[m][k * 2]);
        const float w = vlm_emulated_bf16(&vlm_tiles[b].data[k / 2][n * 4 + k % 2 * 2]);
        sums[k % 2] = fmaf(x, w, sums[k % 2]);
      }
      memcpy(&sum, &vlm_tiles[c].data[m][n * 4], 4);
      sum += sums[0] + sums[1];
      memcpy(&vlm_tiles[c].data[m][n * 4], &sum, 4);
    }
  }
}

#endif
