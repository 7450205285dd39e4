// Handlers of faults, aborts and traps. They run at any instruction, so they call only what is
// async-signal-safe: lock-free atomics, write, unlink, pause, raise, _exit.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vlm_command.h"
#include "vlm_machine.h"
#include "vlm_tables.h"

// Of sysexits.h.
enum { OS_ERROR = 71, IO_ERROR = 74 };

static char program_name[64] = "vlm";

static void put(const char *text) {
  size_t length = strlen(text);
  while (length > 0) {
    ssize_t written = write(STDERR_FILENO, text, length);
    if (written <= 0) {
      return;
    }
    text += written;
    length -= (size_t)written;
  }
}

static void on_fault(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  // The first thread reports; others that meet the same fault wait here.
  vlm_tables_freeze();
  const char *name = vlm_mapping_name(info->si_addr);
  if (info->si_code <= 0 || name == NULL) {
    // Sent by a process, or not from one of our files: a defect, left to the default action.
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    return;
  }
  vlm_pending_unlink_all();
  put(program_name);
  put(": ");
  put(name);
  put(": changed or failed to read while in use\n");
  _exit(IO_ERROR);
}

// What the compiler's trap instruction raises: `ud2`, or `brk`. Returning repeats it.
#if defined(__aarch64__)
#define SIGNAL_OF_TRAP SIGTRAP
#else
#define SIGNAL_OF_TRAP SIGILL
#endif

static struct sigaction previous_abort, previous_trap;

// Without memory the Swift runtime aborts, or traps in its older releases; the thread's errno is
// then still the allocator's.
static void on_abort(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  const int lacks_memory = errno == ENOMEM;
  vlm_tables_freeze();
  vlm_pending_unlink_all();
  if (!lacks_memory) {
    // A defect: handled as if this handler were not there.
    sigaction(signal_number, signal_number == SIGABRT ? &previous_abort : &previous_trap, NULL);
    if (info->si_code <= 0) raise(signal_number);
    return;
  }
  put(program_name);
  put(": not enough memory, or a limit on it (ulimit -v)\n");
  _exit(OS_ERROR);
}

// An ordinary call, not a handler.
static void on_exhausted_memory(size_t bytes) {
  vlm_tables_freeze();
  vlm_pending_unlink_all();
  char text[160];
  snprintf(text, sizeof text, "%s: not enough memory for %zu bytes, or a limit on it (ulimit -v)\n",
           program_name, bytes);
  put(text);
  _exit(OS_ERROR);
}

void vlm_install_fault_handler(const char *program) {
  snprintf(program_name, sizeof program_name, "%s", program);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
  action.sa_sigaction = on_abort;
  sigaction(SIGABRT, &action, &previous_abort);
  sigaction(SIGNAL_OF_TRAP, &action, &previous_trap);
  vlm_on_exhausted_memory(on_exhausted_memory);
  struct rlimit space;
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
    // An arena per thread would reserve 128 MB of the limit each.
    mallopt(M_ARENA_MAX, 1);
  }
}
