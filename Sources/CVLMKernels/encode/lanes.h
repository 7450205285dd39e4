// Sixteen outputs side by side: lane n of every vector belongs to output n of the panel.
//
// Each instruction set includes the bodies once under its own target attribute. The operations
// are element by element, so how many registers a vector takes cannot change a result.
#ifndef VLM_LANES_H
#define VLM_LANES_H

#include <stdint.h>
#include <string.h>

#include "vlm_encode.h"

typedef float lanes __attribute__((ext_vector_type(16)));
typedef int32_t int_lanes __attribute__((ext_vector_type(16)));
typedef uint32_t bit_lanes __attribute__((ext_vector_type(16)));
typedef int8_t byte_lanes __attribute__((ext_vector_type(16)));
typedef double wide_lanes __attribute__((ext_vector_type(16)));

#define VLM_INLINE static inline __attribute__((always_inline))
/// By itself, so that its registers are its own.
#define VLM_ALONE static __attribute__((noinline))

/// The largest scale whose product with 127 is finite: FLT_MAX / 127, rounded down.
#define VLM_MAX_SCALE (8454659.0f * 0x1p98f)

/// What the scratch of an encoder is cut into, all 64-byte aligned.
typedef struct tile {
  lanes *w;          // [blocks * 32] the rows transposed, zeros where padded or not finite
  lanes *pairs;      // [blocks * 16] the rows in parts of a unit, q4_pairs of each group
  lanes *low, *high;    // [blocks] the range of each group of u
  lanes *step, *offset; // [blocks] what was chosen for it
  float *importance; // [blocks * 32] at most 1, positive for k < inputs, 0 where padded
} tile;

VLM_INLINE tile tile_of(const vlm_encode_panel *p) {
  const size_t blocks = vlm_block_count(p->inputs), padded = blocks * VLM_BLOCK_INPUTS;
  lanes *w = p->scratch, *pairs = w + padded, *low = pairs + padded / 2;
  return (tile){w,           pairs,       low, low + blocks, low + 2 * blocks, low + 3 * blocks,
                (float *)(low + 4 * blocks)};
}

#endif
