/* How a value is assigned to another of its type, once for all types: Swift's compiler writes two functions for
   each type, nearly half a megabyte in a program, that nothing but the runtime and generic code calls. The
   table of a type that they are in is described in Swift's docs/ABI/TypeMetadata.rst. scripts/packaging/flags.sh
   puts these in their place. */
#include <stddef.h>
#include <stdint.h>

struct witnesses {
  void *(*copy_buffer)(void *to, void *from, const void *type);
  void (*destroy)(void *value, const void *type);
  void *(*copy)(void *to, void *from, const void *type);
  void *(*assign_copy)(void *to, void *from, const void *type);
  void *(*take)(void *to, void *from, const void *type);
  void *(*assign_take)(void *to, void *from, const void *type);
  void *get_case, *set_case;
  size_t size, stride;
  uint32_t flags; /* the lowest 8 bits: alignment - 1 */
};

/* The word before a type's metadata. */
static inline const struct witnesses *witnesses_of(const void *type) {
  return ((const struct witnesses *const *)type)[-1];
}

/* The new value is copied before the old one ends, which may be what keeps it alive, or be the same. */
void *vlmz_assign_copy(void *to, void *from, const void *type) {
  const struct witnesses *w = witnesses_of(type);
  uintptr_t mask = w->flags & 0xff;
  char *room = __builtin_alloca(w->size + mask);
  void *copy = (void *)(((uintptr_t)room + mask) & ~mask);
  w->copy(copy, from, type);
  w->destroy(to, type);
  return w->take(to, copy, type);
}

void *vlmz_assign_take(void *to, void *from, const void *type) {
  const struct witnesses *w = witnesses_of(type);
  w->destroy(to, type);
  return w->take(to, from, type);
}
