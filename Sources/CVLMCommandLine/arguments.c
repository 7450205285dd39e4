#include <stddef.h>

#include "vlm_command.h"

static int argument_count;
static char **argument_list;

// glibc's loader passes a program's arguments to its constructors. Swift's own way to them reads
// /proc, which may be missing, and repairs bytes that are not UTF-8.
__attribute__((constructor)) static void remember_arguments(int count, char **list, char **unused) {
  (void)unused;
  argument_count = count;
  argument_list = list;
}

int vlm_argument_count(void) { return argument_count; }

const char *vlm_argument(int index) {
  return index >= 0 && index < argument_count ? argument_list[index] : NULL;
}
