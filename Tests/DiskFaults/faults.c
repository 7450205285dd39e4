// A disk that fails at a given moment: preloaded into a command, makes one call on files of one
// folder fail. Tests/CLITests/FaultyDisk.swift compiles it and sets the variables:
//
//   VLM_FAULT_FOLDER  the folder; calls on other files are passed on
//   VLM_FAULT_LOG     gets a line for each call, so that a test knows how many there are
//   VLM_FAULT         CALL:NUMBER:ERRNO, the call (from 1) that fails; a write that fails has
//                     written half of its bytes in the call before, as on a disk that fills up.
//                     open:NUMBER:-SIGNAL succeeds, and the signal arrives before it returns
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[PATH_MAX];
static int log_descriptor = -1;
static char faulty[32];
static int faulty_number;
static int faulty_errno;

enum { OPEN, RESERVE, WRITE, TRUNCATE, SYNC, RENAME, CALLS };
static const char *const names[CALLS] = {"open", "reserve", "write", "truncate", "sync", "rename"};
static _Atomic int counts[CALLS];

__attribute__((constructor)) static void setup(void) {
  const char *path = getenv("VLM_FAULT_FOLDER");
  if (path == NULL || realpath(path, folder) == NULL) {
    folder[0] = 0;
    return;
  }
  const char *log_path = getenv("VLM_FAULT_LOG");
  if (log_path != NULL) {
    log_descriptor = (int)syscall(
        SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  const char *fault = getenv("VLM_FAULT");
  if (fault != NULL) {
    sscanf(fault, "%31[^:]:%d:%d", faulty, &faulty_number, &faulty_errno);
  }
}

static int is_inside(const char *path) {
  char full[PATH_MAX];
  if (folder[0] == 0 || path == NULL) {
    return 0;
  }
  // The file need not be there, its folder does.
  const char *slash = strrchr(path, '/');
  char parent[PATH_MAX] = ".";
  if (slash != NULL) {
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  }
  return realpath(parent, full) != NULL && strcmp(full, folder) == 0;
}

static int is_inside_descriptor(int descriptor) {
  char link_path[64];
  char target[PATH_MAX];
  snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link_path, target, sizeof target - 1);
  if (length <= 0 || folder[0] == 0) {
    return 0;
  }
  target[length] = 0;
  size_t depth = strlen(folder);
  return strncmp(target, folder, depth) == 0 && (target[depth] == '/' || target[depth] == 0);
}

// Counts the call, and says whether it is the one that fails.
static int fails(int call) {
  int number = atomic_fetch_add(&counts[call], 1) + 1;
  if (log_descriptor >= 0) {
    dprintf(log_descriptor, "%s\n", names[call]);
  }
  if (strcmp(names[call], faulty) != 0 || number != faulty_number) {
    return 0;
  }
  errno = faulty_errno;
  return 1;
}

static int will_fail_next(int call) {
  return strcmp(names[call], faulty) == 0 && atomic_load(&counts[call]) + 2 == faulty_number;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

static int open_file(const char *name, const char *path, int flags, mode_t mode) {
  // Folders are opened to be synced, which counts as that.
  const int strikes = (flags & O_CREAT) != 0 && is_inside(path) && fails(OPEN);
  if (strikes && faulty_errno > 0) {
    return -1;
  }
  int descriptor = NEXT(int (*)(const char *, int, ...), name)(path, flags, mode);
  if (strikes) {
    kill(getpid(), -faulty_errno);
    // Whoever could end the process now has the time to do it.
    poll(NULL, 0, 200);
  }
  return descriptor;
}

#define OPEN_MODE(flags, mode)                                                                     \
  mode_t mode = 0;                                                                                 \
  if ((flags) & O_CREAT) {                                                                         \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode = va_arg(arguments, mode_t);                                                              \
    va_end(arguments);                                                                             \
  }

int open(const char *path, int flags, ...) {
  OPEN_MODE(flags, mode)
  return open_file("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE(flags, mode)
  return open_file("open64", path, flags, mode);
}

static ssize_t write_file(
    const char *name, int descriptor, const void *bytes, size_t count, off_t offset) {
  if (is_inside_descriptor(descriptor)) {
    int next = will_fail_next(WRITE);
    if (fails(WRITE)) {
      return -1;
    }
    if (next && count > 1) {
      count /= 2;
    }
  }
  return NEXT(ssize_t(*)(int, const void *, size_t, off_t), name)(descriptor, bytes, count, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  return write_file("pwrite", descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
  return write_file("pwrite64", descriptor, bytes, count, offset);
}

int ftruncate(int descriptor, off_t length) {
  if (is_inside_descriptor(descriptor) && fails(TRUNCATE)) {
    return -1;
  }
  return NEXT(int (*)(int, off_t), "ftruncate")(descriptor, length);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
  if (is_inside_descriptor(descriptor) && fails(RESERVE)) {
    return -1;
  }
  return NEXT(int (*)(int, int, off_t, off_t), "fallocate")(descriptor, mode, offset, length);
}

int fsync(int descriptor) {
  if (is_inside_descriptor(descriptor) && fails(SYNC)) {
    return -1;
  }
  return NEXT(int (*)(int), "fsync")(descriptor);
}

int rename(const char *from, const char *to) {
  if (is_inside(to) && fails(RENAME)) {
    return -1;
  }
  return NEXT(int (*)(const char *, const char *), "rename")(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  if (is_inside(to) && fails(RENAME)) {
    return -1;
  }
  return NEXT(int (*)(int, const char *, int, const char *, unsigned), "renameat2")(
      from_folder, from, to_folder, to, flags);
}
