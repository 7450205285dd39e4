// Two tables of this process: which files are mapped where, and which outputs are unfinished.
//
// They are data alone. A program's signal handler may read them at any instruction; the library
// installs none. Both have a fixed number of slots, and texts are copied. Adding returns the slot,
// or -1 when the table is full or the text too long: the caller goes on, and only a handler knows
// less. Any thread may add and remove.
#ifndef VLM_TABLES_H
#define VLM_TABLES_H

#include <stddef.h>

/// Notes that [base, base + length) maps the file that messages call `name`.
int vlm_mapping_add(const void *base, size_t length, const char *name);
void vlm_mapping_remove(int slot);

/// Notes that the file `path` is to be unlinked if the process is killed.
int vlm_pending_add(const char *path);
void vlm_pending_remove(int slot);

// ---- For handlers: async-signal-safe ----

/// Stops every later addition for the rest of the process's life, so that no text is read half
/// written. The first caller goes on; any other waits for ever, until the process ends.
void vlm_tables_freeze(void);

/// The name of the file that is mapped at `address`. "a mapped file" where a mapping found no slot
/// and may be there; NULL where none is. After `vlm_tables_freeze`.
const char *vlm_mapping_name(const void *address);

/// Unlinks every unfinished output. After `vlm_tables_freeze`.
void vlm_pending_unlink_all(void);

#endif
