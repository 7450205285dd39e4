// Stands in for the part of Swift's runtime that starts a program called swift-backtrace after a crash, which is
// there only where Swift is: 110 KB. A crash ends the program with its signal either way. Being weak, these
// give way to the runtime's own should a version of it need more of that part.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All zero: no backtraces. It is as long as the runtime's own, at least.
__attribute__((weak)) uint64_t _swift_backtraceSettings[16];

__attribute__((weak)) bool _swift_backtrace_isThunkFunction(const char *name) {
  (void)name;
  return false;
}

__attribute__((weak)) char *_swift_backtrace_demangle(const char *name, size_t length, char *to, size_t *size) {
  (void)name, (void)length, (void)to, (void)size;
  return NULL;
}
