// Signal handlers may touch only what is here: lock-free atomics, write, unlink, sem_post, _exit.
#define _GNU_SOURCE
#include "vlm_system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

// ---- Tables ----

#define MAPPING_SLOTS 512
#define PENDING_SLOTS 64

// A slot is taken by moving `state` from 0 to 1; 2 says that the fields may be read.
typedef struct {
  _Atomic int state;
  uintptr_t base;
  size_t length;
  char path[PATH_MAX];
} slot_t;

static slot_t mappings[MAPPING_SLOTS];
static slot_t pending[PENDING_SLOTS];

// Mappings that found no slot: while there is one, an unknown fault may be in it.
static _Atomic int unlisted_mappings;

// Set by the fault handler before it reads the tables. A thread that takes a slot after that stops
// before writing to it, so the handler never reads half a path.
static _Atomic int dying;

static int take_slot(slot_t *slots, int count, const void *base, size_t length, const char *path) {
  if (strlen(path) >= PATH_MAX) {
    return -1;
  }
  for (int i = 0; i < count; i++) {
    int free_state = 0;
    if (atomic_compare_exchange_strong(&slots[i].state, &free_state, 1)) {
      while (atomic_load(&dying)) {
        pause();
      }
      slots[i].base = (uintptr_t)base;
      slots[i].length = length;
      strcpy(slots[i].path, path);
      atomic_store(&slots[i].state, 2);
      return i;
    }
  }
  return -1;
}

static void release_slot(slot_t *slots, int slot) {
  if (slot >= 0) {
    atomic_store(&slots[slot].state, 0);
  }
}

int vlm_mapping_add(const void *base, size_t length, const char *path) {
  int slot = take_slot(mappings, MAPPING_SLOTS, base, length, path);
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

// ---- Faults ----

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
  // Threads that meet the same fault leave it to the first to say so.
  while (atomic_exchange(&dying, 1)) {
    pause();
  }
  uintptr_t address = (uintptr_t)info->si_addr;
  const char *path = NULL;
  for (int i = 0; i < MAPPING_SLOTS && path == NULL; i++) {
    if (atomic_load(&mappings[i].state) == 2) {
      uintptr_t base = mappings[i].base;
      if (address >= base && address - base < mappings[i].length) {
        path = mappings[i].path;
      }
    }
  }
  if (info->si_code <= 0 || (path == NULL && atomic_load(&unlisted_mappings) == 0)) {
    // Sent by someone, or not from a file of ours: a fault in the program, to be seen as one.
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    return;
  }
  for (int i = 0; i < PENDING_SLOTS; i++) {
    if (atomic_load(&pending[i].state) == 2) {
      unlink(pending[i].path);
    }
  }
  put(program_name);
  put(": ");
  put(path == NULL ? "a mapped file" : path);
  put(": changed or failed to read while in use\n");
  _exit(74);
}

// What a trap of the compiler's raises: `ud2`, or `brk`. Both come again when they are returned to.
#if defined(__aarch64__)
#define SIGNAL_OF_TRAP SIGTRAP
#else
#define SIGNAL_OF_TRAP SIGILL
#endif

// Who was to be told of them before.
static struct sigaction previous_abort, previous_trap;

// Where memory cannot be had the Swift runtime aborts, or traps in its older releases: the error of the
// thread is then still the allocator's.
static void on_abort(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  const int lacks_memory = errno == ENOMEM;
  while (atomic_exchange(&dying, 1)) {
    pause();
  }
  for (int i = 0; i < PENDING_SLOTS; i++) {
    if (atomic_load(&pending[i].state) == 2) {
      unlink(pending[i].path);
    }
  }
  if (!lacks_memory) {
    // Something else: to be seen as what it is.
    sigaction(signal_number, signal_number == SIGABRT ? &previous_abort : &previous_trap, NULL);
    if (info->si_code <= 0) raise(signal_number);
    return;
  }
  put(program_name);
  put(": not enough memory, or a limit on it (ulimit -v)\n");
  _exit(71);
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
  struct rlimit space;
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
    // Each thread's arena would reserve 128 MB of what little there is.
    mallopt(M_ARENA_MAX, 1);
  }
}

int vlm_can_allocate(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return 0;
  }
  munmap(memory, bytes);
  return 1;
}

// ---- Termination ----
//
// A handler and a semaphore rather than blocked signals and sigwait: a library may have started
// threads before main, and those do not inherit our mask.

static sem_t termination_arrived;
static volatile sig_atomic_t termination_signal;
static void (*termination_callback)(int);
static void (*_Atomic interrupt_callback)(void);

void vlm_on_interrupt(void (*callback)(void)) { interrupt_callback = callback; }

static void on_termination(int signal_number) {
  int saved = errno;
  if (termination_signal == 0) {
    termination_signal = signal_number;
    sem_post(&termination_arrived);
  }
  errno = saved;
}

static const int termination_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define TERMINATION_SIGNALS (sizeof termination_signals / sizeof termination_signals[0])

static void *wait_for_termination(void *unused) {
  (void)unused;
  // A parent may have left them blocked; one thread that does not block them is enough.
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < TERMINATION_SIGNALS; i++) {
    sigaddset(&set, termination_signals[i]);
  }
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  for (;;) {
    while (sem_wait(&termination_arrived) != 0) {
    }
    void (*interrupted)(void) = interrupt_callback;
    if (termination_signal != SIGINT || interrupted == NULL) {
      break;
    }
    // Free for the next signal before the callback, which may take its time.
    termination_signal = 0;
    interrupted();
  }
  termination_callback(termination_signal);
  return NULL;
}

int vlm_on_termination(void (*callback)(int)) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  termination_callback = callback;
  if (sem_init(&termination_arrived, 0, 0) != 0) {
    return errno;
  }
  for (size_t i = 0; i < TERMINATION_SIGNALS; i++) {
    const int signal_number = termination_signals[i];
    struct sigaction action;
    if (sigaction(signal_number, NULL, &action) != 0 || action.sa_handler == SIG_IGN) {
      continue;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_termination;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
  }
  pthread_t thread;
  int failure = pthread_create(&thread, NULL, wait_for_termination, NULL);
  if (failure == 0) {
    pthread_detach(thread);
  }
  return failure;
}

// ---- Files ----

int vlm_rename_new(const char *from, const char *to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
    return 0;
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return -1;
  }
  if (link(from, to) != 0) {
    return -1;
  }
  unlink(from);
  return 0;
}

int vlm_reserve(int descriptor, int64_t bytes) {
  if (bytes <= 0) {
    return 0;
  }
  while (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, bytes) != 0) {
    if (errno == EINTR) {
      continue;
    }
    return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
  }
  return 0;
}
