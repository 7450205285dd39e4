// Rearrangements of the bytes of weights, after which an entropy coder does more with them.
//
// No allocation, no global state, no I/O. `in` and `out` never overlap.
#ifndef VLM_PLANES_H
#define VLM_PLANES_H

#include <stddef.h>
#include <stdint.h>

/// Writes the lowest bytes of `count` little-endian words of `width` bytes (2 or 4), then the next
/// ones, up to the highest. Each word is first turned left by `turn` bits (0 or 1): with 1, the sign
/// of a number goes to the bottom and its exponent fills the top of the word.
void vlm_split_planes(const uint8_t *in, uint8_t *out, size_t count, int width, int turn);

/// The inverse of `vlm_split_planes`.
void vlm_join_planes(const uint8_t *in, uint8_t *out, size_t count, int width, int turn);

/// Whether the lowest byte of each of `count` little-endian words of `width` bytes is zero.
int vlm_lowest_bytes_are_zero(const uint8_t *in, size_t count, int width);

/// Copies `count` pieces of `width` bytes; the first ones of `in` and `out` are at `in` and `out`, the
/// next ones `in_stride` and `out_stride` bytes further.
void vlm_copy_pieces(
    const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, size_t width,
    size_t count);

#endif
