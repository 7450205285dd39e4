/* Stands in for Swift's tasks, which are half a megabyte with the queues that they run on, in programs that make none:
   vlm-run and vlm-convert call the functions that block. Beside those lie their `async` forms, which are never called
   and which a linker takes along; scripts/packaging/flags.sh puts this in the place of all that they refer to. */
#include <stdlib.h>

void vlmz_no_tasks(void) { abort(); }
