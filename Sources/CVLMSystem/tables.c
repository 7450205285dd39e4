// Signal handlers read these tables: lock-free atomics, unlink and pause are all that is used.
#define _GNU_SOURCE
#include "vlm_tables.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define MAPPING_SLOTS 512
#define PENDING_SLOTS 64

// A slot is taken by moving `state` from FREE to TAKEN; READY says that the fields may be read.
enum { FREE, TAKEN, READY };

typedef struct {
  _Atomic int state;
  uintptr_t base;
  size_t length;
  char path[PATH_MAX];
} slot_t;

static slot_t mappings[MAPPING_SLOTS];
static slot_t pending[PENDING_SLOTS];

// Mappings that found no slot: while there is one, an unknown address may be in it.
static _Atomic int unlisted_mappings;

// Set before the tables are read. A thread that takes a slot after that stops before it writes.
static _Atomic int frozen;

static int take_slot(slot_t *slots, int count, const void *base, size_t length, const char *path) {
  if (strlen(path) >= PATH_MAX) {
    return -1;
  }
  for (int i = 0; i < count; i++) {
    int expected = FREE;
    if (atomic_compare_exchange_strong(&slots[i].state, &expected, TAKEN)) {
      while (atomic_load(&frozen)) {
        pause();
      }
      slots[i].base = (uintptr_t)base;
      slots[i].length = length;
      strcpy(slots[i].path, path);
      atomic_store(&slots[i].state, READY);
      return i;
    }
  }
  return -1;
}

static void release_slot(slot_t *slots, int slot) {
  if (slot >= 0) {
    atomic_store(&slots[slot].state, FREE);
  }
}

int vlm_mapping_add(const void *base, size_t length, const char *name) {
  int slot = take_slot(mappings, MAPPING_SLOTS, base, length, name);
  if (slot < 0) {
    atomic_fetch_add(&unlisted_mappings, 1);
  }
  return slot;
}

void vlm_mapping_remove(int slot) {
  if (slot < 0) {
    atomic_fetch_sub(&unlisted_mappings, 1);
  }
  release_slot(mappings, slot);
}

int vlm_pending_add(const char *path) {
  return take_slot(pending, PENDING_SLOTS, NULL, 0, path);
}

void vlm_pending_remove(int slot) { release_slot(pending, slot); }

void vlm_tables_freeze(void) {
  while (atomic_exchange(&frozen, 1)) {
    pause();
  }
}

const char *vlm_mapping_name(const void *address) {
  for (int i = 0; i < MAPPING_SLOTS; i++) {
    if (atomic_load(&mappings[i].state) == READY) {
      uintptr_t base = mappings[i].base;
      if ((uintptr_t)address >= base && (uintptr_t)address - base < mappings[i].length) {
        return mappings[i].path;
      }
    }
  }
  return atomic_load(&unlisted_mappings) > 0 ? "a mapped file" : NULL;
}

void vlm_pending_unlink_all(void) {
  for (int i = 0; i < PENDING_SLOTS; i++) {
    if (atomic_load(&pending[i].state) == READY) {
      unlink(pending[i].path);
    }
  }
}
