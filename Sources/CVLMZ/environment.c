// The Swift runtime and libdispatch, which are linked into libvlmz.so, look at the environment when they
// are loaded; with SWIFT_BACKTRACE, or where a toolchain lies beside the library, the runtime installs
// handlers for signals. A library must do neither to the process that loads it. scripts/build-library
// links with --wrap, so that their references to getenv, secure_getenv and environ lead here.

#include <string.h>

char *__wrap_getenv(const char *name);
char *__wrap_secure_getenv(const char *name);

static char no_backtrace[] = "enable=no";
static char *nothing[] = {NULL};

char **__wrap_environ = nothing;

char *__wrap_getenv(const char *name) {
  return strcmp(name, "SWIFT_BACKTRACE") == 0 ? no_backtrace : NULL;
}

char *__wrap_secure_getenv(const char *name) { return __wrap_getenv(name); }
