// Vectors of sixteen outputs: lane n of every vector belongs to output n of the panel.
//
// Each instruction set includes all.inc once under its own target attribute. The operations are
// element by element, so how many registers a vector takes cannot change a result.
#ifndef VLM_ENCODE_LANES_H
#define VLM_ENCODE_LANES_H

#include "../include/vlm_encode.h"
#include "../include/vlm_gguf.h"
#include "../internal.h"

typedef float lanes __attribute__((ext_vector_type(16)));
typedef int32_t int_lanes __attribute__((ext_vector_type(16)));
typedef uint32_t bit_lanes __attribute__((ext_vector_type(16)));
typedef int8_t byte_lanes __attribute__((ext_vector_type(16)));
typedef double wide_lanes __attribute__((ext_vector_type(16)));

/// The largest scale whose product with 127 is finite: FLT_MAX / 127, rounded down.
#define VLM_MAX_SCALE (8454659.0f * 0x1p98f)

/// The parts of an encoder's scratch, all 64-byte aligned.
typedef struct tile {
  lanes *w;             // [blocks * 32] the rows transposed, zeros where padded or not finite
  lanes *pairs;         // [blocks * 16] the rows in fractions of a unit, qn_pairs of each group
  lanes *places;        // [blocks * 32] what codes are rounded from, once `pairs` have been read
  lanes *low, *high;    // [blocks] the range of each group of u
  lanes *step, *offset; // [blocks] those chosen for it
  float *importance;    // [blocks * 32] at most 1, positive for k < inputs, 0 where padded
} tile;

extern const vlm_encoder vlm_encoder_baseline;
#if defined(__x86_64__)
extern const vlm_encoder vlm_encoder_sse41, vlm_encoder_avx2, vlm_encoder_avx512;
#endif

/// vlm_gguf_decode on one instruction set.
void vlm_gguf_decode__baseline(uint32_t type, size_t blocks, const uint8_t *bytes, float *values);
void vlm_gguf_decode__avx2(uint32_t type, size_t blocks, const uint8_t *bytes, float *values);

VLM_INLINE tile tile_of(const vlm_encode_panel *p) {
  const size_t blocks = vlm_block_count(p->inputs), padded = blocks * VLM_BLOCK_INPUTS;
  lanes *w = p->scratch, *pairs = w + padded, *low = pairs + padded;
  return (tile){w,
                pairs,
                pairs,
                low,
                low + blocks,
                low + 2 * blocks,
                low + 3 * blocks,
                (float *)(low + 4 * blocks)};
}

#endif
