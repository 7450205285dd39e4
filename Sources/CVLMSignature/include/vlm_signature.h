// Ed25519, BLAKE2b and scrypt, from libsodium, behind functions that never end the process.
//
// What is given is of the size that its declaration says. Functions that can fail return false, also
// where libsodium cannot be started. They may be called from any thread.

#ifndef VLM_SIGNATURE_H
#define VLM_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// BLAKE2b (RFC 7693) without a key, of bytes that come in pieces.
typedef struct vlm_blake2b vlm_blake2b;

// A digest of `digest_count` bytes, 32 or 64, is begun; NULL without memory.
vlm_blake2b *vlm_blake2b_create(size_t digest_count);
void vlm_blake2b_update(vlm_blake2b *state, const void *bytes, size_t count);
// Writes the digest and frees the state.
void vlm_blake2b_finish(vlm_blake2b *state, uint8_t *digest);

// Ed25519 (RFC 8032). A secret key is the 32 bytes of the seed, then the public key.
bool vlm_ed25519_verify(
    const uint8_t signature[64], const void *message, size_t count, const uint8_t public_key[32]);
bool vlm_ed25519_sign(
    const void *message, size_t count, const uint8_t secret_key[64], uint8_t signature[64]);
// A new pair of keys, of the system's random numbers.
bool vlm_ed25519_make(uint8_t public_key[32], uint8_t secret_key[64]);
// Whether the public half of a secret key is that of its seed.
bool vlm_ed25519_is_pair(const uint8_t secret_key[64]);

// scrypt (RFC 7914) with libsodium's two limits in place of N, r and p: `operations` of time and
// `memory` in bytes. False without that memory.
bool vlm_scrypt(
    const void *password, size_t count, const uint8_t salt[32], uint64_t operations,
    uint64_t memory, uint8_t *key, size_t key_count);

// Random bytes of the system.
bool vlm_random(void *bytes, size_t count);

// Zeros that the compiler does not leave out.
void vlm_wipe(void *bytes, size_t count);

#endif
