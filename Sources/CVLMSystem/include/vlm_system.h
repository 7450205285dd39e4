// The few things about signals and files that Swift cannot say safely: handlers that may run at
// any instruction, and the calls they may make.
#ifndef VLM_SYSTEM_H
#define VLM_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

// ---- Arguments ----

// The process's arguments as it got them, the program's name first; NULL for an index beyond them.
int vlm_argument_count(void);
const char *vlm_argument(int index);

// Processors that this process may run on; 0 where the system does not say.
int vlm_allowed_processors(void);

// ---- Mapped files and unfinished outputs ----
//
// Both tables have fixed slots that a signal handler can walk at any time. Texts are copied.
// Adding returns the slot, or -1 when the table is full or memory ran out: the caller goes on, and
// only the handler knows less. Any thread may add and remove.

// Notes that [base, base + length) maps the file that messages call `name`.
int vlm_mapping_add(const void *base, size_t length, const char *name);
void vlm_mapping_remove(int slot);

// Notes that the file `path` is to be unlinked if the process dies of a mapping fault.
int vlm_pending_add(const char *path);
void vlm_pending_remove(int slot);

// ---- Faults ----

// Makes a read from a mapping whose file was truncated, or whose disk failed, end the process with
// one line on standard error, status 74, and no unfinished output left behind. A SIGBUS from
// anywhere else keeps its default action. An abort or a trap removes unfinished outputs too; for
// want of memory it ends the process with a line and status 71. Where address space is limited,
// threads share one arena of malloc. `program` is copied, cut to 63 bytes.
void vlm_install_fault_handler(const char *program);

// Whether `bytes` more bytes can be had at this moment; nothing is kept.
int vlm_can_allocate(size_t bytes);

// ---- Termination ----

// Calls `callback`, on a thread of its own, once for the first SIGINT, SIGTERM or SIGHUP that
// arrives; signals that are ignored already (nohup) stay so. Ignores SIGPIPE and SIGXFSZ, so that
// writes fail with EPIPE and EFBIG. Returns 0, or an errno. To be called once.
int vlm_on_termination(void (*callback)(int signal));

// From now on calls `callback`, on the thread of `vlm_on_termination`, for each SIGINT instead; NULL
// makes SIGINT end the process again. Needs `vlm_on_termination` first.
void vlm_on_interrupt(void (*callback)(void));

// ---- Files ----

// Renames `from` to `to` only when nothing is at `to`; errno is EEXIST otherwise. On a file system
// that cannot do that in one step, links and unlinks instead.
int vlm_rename_new(const char *from, const char *to);

// Reserves disk space for the first `bytes` bytes of the file without changing its size. Returns 0
// also where the file system cannot reserve; otherwise an errno such as ENOSPC.
int vlm_reserve(int descriptor, int64_t bytes);

#endif
