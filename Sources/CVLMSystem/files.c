#define _GNU_SOURCE
#include "vlm_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

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
