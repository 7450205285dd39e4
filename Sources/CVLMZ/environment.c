// The environment that the Swift runtime and libdispatch in libvlmz.so see: one of their own.
//
// They look at the process's when they are loaded, and unless SWIFT_BACKTRACE says otherwise the
// runtime installs signal handlers where it finds its tool for backtraces beside the library. A
// library must do neither to the process that loads it. scripts/build-library links with --wrap, so
// that what in the library would read the process's variables reads these.

#include <string.h>

char *__wrap_getenv(const char *name);
char *__wrap_secure_getenv(const char *name);

static char backtraces[] = "SWIFT_BACKTRACE=enable=no";
static char *variables[] = {backtraces, NULL};

char **__wrap_environ = variables;
char **__wrap___environ = variables;

char *__wrap_getenv(const char *name) {
  size_t length = strlen(name);
  if (strncmp(backtraces, name, length) != 0 || backtraces[length] != '=') return NULL;
  return backtraces + length + 1;
}

char *__wrap_secure_getenv(const char *name) { return __wrap_getenv(name); }
