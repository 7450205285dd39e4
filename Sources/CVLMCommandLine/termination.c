// SIGINT, SIGTERM, SIGHUP and SIGQUIT.
//
// A handler and a semaphore rather than blocked signals and sigwait: a library may have started
// threads before main, and those do not inherit our mask.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "vlm_command.h"

static sem_t termination_arrived;
static volatile sig_atomic_t termination_signal;
static void (*termination_callback)(int);
static void (*_Atomic interrupt_callback)(void);
static void (*_Atomic shutdown_callback)(void);

void vlm_on_interrupt(void (*callback)(void)) { interrupt_callback = callback; }
void vlm_on_shutdown(void (*callback)(void)) { shutdown_callback = callback; }

static void on_termination(int signal_number) {
  int saved = errno;
  if (termination_signal == 0) {
    termination_signal = signal_number;
    sem_post(&termination_arrived);
  }
  errno = saved;
}

static const int termination_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
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
    // Whoever quits a program waits for nothing.
    if (termination_signal == SIGQUIT) {
      break;
    }
    void (*shut_down)(void) = atomic_exchange(&shutdown_callback, NULL);
    if (shut_down != NULL) {
      termination_signal = 0;
      shut_down();
      continue;
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

void vlm_end_by_signal(int signal_number) {
  signal(signal_number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  raise(signal_number);
  _exit(128 + signal_number);
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
