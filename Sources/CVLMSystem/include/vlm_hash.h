// Checksums of the container: XXH64 for every run of bytes, SHA-256 for the root of them.
//
// No allocation, no global state, no I/O. `data` may be NULL when `size` is 0.
#ifndef VLM_HASH_H
#define VLM_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A running XXH64 with seed 0. Copy it to fork it.
typedef struct vlm_xxh64 {
  uint64_t lane[4];
  uint64_t total;       // bytes so far
  uint8_t pending[32];  // the last total % 32 bytes
} vlm_xxh64;

void vlm_xxh64_begin(vlm_xxh64 *state);
void vlm_xxh64_update(vlm_xxh64 *state, const void *data, size_t size);
/// The hash of what came so far; the state may go on.
uint64_t vlm_xxh64_digest(const vlm_xxh64 *state);

/// A running SHA-256 (FIPS 180-4).
typedef struct vlm_sha256 {
  uint32_t word[8];
  uint64_t total;
  uint8_t pending[64];
} vlm_sha256;

void vlm_sha256_begin(vlm_sha256 *state);
void vlm_sha256_update(vlm_sha256 *state, const void *data, size_t size);
/// Writes 32 bytes; the state may go on.
void vlm_sha256_digest(const vlm_sha256 *state, uint8_t digest[32]);

/// Compression of `count` blocks of 64 bytes. The portable one is the reference; the other uses the
/// processor's SHA extensions and may be called only where `vlm_sha256_has_extensions`.
void vlm_sha256_blocks_portable(uint32_t word[8], const uint8_t *data, size_t count);
void vlm_sha256_blocks_extensions(uint32_t word[8], const uint8_t *data, size_t count);
bool vlm_sha256_has_extensions(void);

/// Whether all bytes are zero.
bool vlm_is_zero(const void *data, size_t size);

#endif
