#include "vlm_signature.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// Safe to call again and from several threads at once.
static bool is_ready(void) { return sodium_init() >= 0; }

struct vlm_blake2b {
  crypto_generichash_blake2b_state hash;
  size_t digest_count;
};

vlm_blake2b *vlm_blake2b_create(size_t digest_count) {
  if (!is_ready() || (digest_count != 32 && digest_count != 64)) return NULL;
  // The library's state is aligned to cache lines, more than malloc gives.
  vlm_blake2b *state = aligned_alloc(64, (sizeof *state + 63) / 64 * 64);
  if (!state) return NULL;
  state->digest_count = digest_count;
  crypto_generichash_blake2b_init(&state->hash, NULL, 0, digest_count);
  return state;
}

void vlm_blake2b_update(vlm_blake2b *state, const void *bytes, size_t count) {
  if (count > 0) crypto_generichash_blake2b_update(&state->hash, bytes, count);
}

void vlm_blake2b_finish(vlm_blake2b *state, uint8_t *digest) {
  crypto_generichash_blake2b_final(&state->hash, digest, state->digest_count);
  free(state);
}

bool vlm_ed25519_verify(
    const uint8_t signature[64], const void *message, size_t count, const uint8_t public_key[32]) {
  return is_ready() && crypto_sign_verify_detached(signature, message, count, public_key) == 0;
}

bool vlm_ed25519_sign(
    const void *message, size_t count, const uint8_t secret_key[64], uint8_t signature[64]) {
  return is_ready() && crypto_sign_detached(signature, NULL, message, count, secret_key) == 0;
}

bool vlm_ed25519_make(uint8_t public_key[32], uint8_t secret_key[64]) {
  return is_ready() && crypto_sign_keypair(public_key, secret_key) == 0;
}

bool vlm_ed25519_is_pair(const uint8_t secret_key[64]) {
  if (!is_ready()) return false;
  uint8_t public_key[32], copy[64];
  bool made = crypto_sign_seed_keypair(public_key, copy, secret_key) == 0;
  sodium_memzero(copy, sizeof copy);
  return made && memcmp(public_key, secret_key + 32, 32) == 0;
}

bool vlm_scrypt(
    const void *password, size_t count, const uint8_t salt[32], uint64_t operations,
    uint64_t memory, uint8_t *key, size_t key_count) {
  return is_ready() &&
      crypto_pwhash_scryptsalsa208sha256(
          key, key_count, password, count, salt, operations, (size_t)memory) == 0;
}

bool vlm_random(void *bytes, size_t count) {
  if (!is_ready()) return false;
  randombytes_buf(bytes, count);
  return true;
}

void vlm_wipe(void *bytes, size_t count) { sodium_memzero(bytes, count); }
