// Calls about files that Swift's overlay of glibc lacks.
#ifndef VLM_FILES_H
#define VLM_FILES_H

#include <stdint.h>

/// Renames `from` to `to` only when nothing is at `to`; errno is EEXIST otherwise. On a file system
/// that cannot do that in one step, links and unlinks instead.
int vlm_rename_new(const char *from, const char *to);

/// Reserves disk space for the first `bytes` bytes of the file without changing its size. Returns 0
/// also where the file system cannot reserve; otherwise an errno such as ENOSPC.
int vlm_reserve(int descriptor, int64_t bytes);

#endif
