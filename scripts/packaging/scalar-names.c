// Stands in for the names of Unicode's characters, which are half a megabyte of Swift's runtime: `properties.name`
// of a scalar is the only thing that has them, and nothing here asks for it. See scripts/packaging/flags.sh.
#include <stdint.h>

intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, uint8_t *buffer, intptr_t capacity) {
  (void)scalar, (void)buffer, (void)capacity;
  return 0;
}
