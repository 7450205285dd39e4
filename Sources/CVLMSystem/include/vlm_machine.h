// Processors and memory as the system gives them to this process.
#ifndef VLM_MACHINE_H
#define VLM_MACHINE_H

#include <stddef.h>

/// Processors that this process may run on; 0 where the system does not say.
int vlm_allowed_processors(void);

/// The processor that the calling thread runs on, which may be another one right after; -1 where the
/// system does not say.
int vlm_current_processor(void);

/// Between two looks at what another thread will write: a processor that runs two threads at a time
/// leaves the other one more of itself.
static inline void vlm_relax(void) {
#if defined __x86_64__
  __builtin_ia32_pause();
#elif defined __aarch64__
  __asm__ volatile("isb" ::: "memory");  // yield does nothing on most
#endif
}

/// Whether `bytes` more bytes can be had at this moment; nothing is kept.
int vlm_can_allocate(size_t bytes);

/// `bytes` bytes at a multiple of 64, for `free`. NULL where they cannot be had, unless a callback
/// of `vlm_on_exhausted_memory` ended the process. Any thread may call.
void *vlm_allocate(size_t bytes);

/// Bytes that malloc has given and that nobody has freed; 0 where the C library does not say. Waits for
/// other threads' calls of malloc.
size_t vlm_allocated_bytes(void);

/// From now on `vlm_allocate` calls `callback` before it returns NULL. For programs, which may end
/// the process there; NULL removes it.
void vlm_on_exhausted_memory(void (*callback)(size_t bytes));

#endif
