// What only a program may do, and no library: take the arguments of the process, install signal
// handlers, and end the process from one.
#ifndef VLM_COMMAND_H
#define VLM_COMMAND_H

// ---- Arguments ----

// The process's arguments as it got them, the program's name first; NULL for an index beyond them.
int vlm_argument_count(void);
const char *vlm_argument(int index);

// ---- Faults ----

// Makes a read from a mapping whose file was truncated, or whose disk failed, end the process with
// one line on standard error, status 74, and no unfinished output left behind. A SIGBUS from
// anywhere else keeps its default action. An abort or a trap removes unfinished outputs too; for
// want of memory it ends the process with a line and status 71, as does memory that
// `vlm_allocate` cannot have. Where address space is limited, threads share one arena of malloc.
// `program` begins the line; it is copied, cut to 63 bytes.
void vlm_install_fault_handler(const char *program);

// ---- Memory ----

// Bounds what malloc keeps of memory that was freed, for a program that runs for long with many threads:
// `arenas` arenas, of which glibc makes 8 for each processor, and 8 MiB at the end of each; blocks of
// 4 MiB and more go back at once. Before there are threads. Without effect on a number of arenas that
// the environment or a limit on address space has set.
void vlm_limit_heap(int arenas);

// ---- Termination ----

// Calls `callback`, on a thread of its own, once for the first SIGINT, SIGTERM, SIGHUP or SIGQUIT that
// arrives; signals that are ignored already (nohup) stay so. Ignores SIGPIPE and SIGXFSZ, so that
// writes fail with EPIPE and EFBIG. Returns 0, or an errno. To be called once.
int vlm_on_termination(void (*callback)(int signal));

// From now on calls `callback`, on the thread of `vlm_on_termination`, for each SIGINT instead; NULL
// makes SIGINT end the process again. Needs `vlm_on_termination` first.
void vlm_on_interrupt(void (*callback)(void));

// Calls `callback`, on the thread of `vlm_on_termination`, for the next of its signals but SIGQUIT
// instead; the one after that ends the process. Needs `vlm_on_termination` first.
void vlm_on_shutdown(void (*callback)(void));

// Ends the process as the signal's default action does.
_Noreturn void vlm_end_by_signal(int signal_number);

#endif
