// What Swift's runtime takes of libstdc++ and glibc that came after Debian 11's, GCC 10's and 2.31, so that those
// suffice: see scripts/build-tarball. Without headers, as newer ones give the functions of C other names.
#include <stdarg.h>
#include <stddef.h>

_Noreturn void abort(void);

// std::__throw_bad_array_new_length(), of GCC 11. The runtime is compiled without exceptions.
void _ZSt28__throw_bad_array_new_lengthv(void) { abort(); }

// std::__glibcxx_assert_fail(), of GCC 13: a check of libstdc++ that failed.
void _ZSt21__glibcxx_assert_failPKciS0_S0_(
    const char *file, int line, const char *function, const char *condition) {
  abort();
}

// Of glibc 2.38, for programs compiled with its headers: the same but that they know binary numbers, "0b1", where the
// base is 0 or 2. The runtime reads the decimal and hexadecimal numbers of its settings and of addresses.
long plain_strtol(const char *text, char **end, int base) __asm__("strtol");
long long plain_strtoll(const char *text, char **end, int base) __asm__("strtoll");
int plain_vsscanf(const char *text, const char *format, va_list values) __asm__("__isoc99_vsscanf");

long __isoc23_strtol(const char *text, char **end, int base) {
  return plain_strtol(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base) {
  return plain_strtoll(text, end, base);
}

int __isoc23_sscanf(const char *text, const char *format, ...) {
  va_list values;
  va_start(values, format);
  int read = plain_vsscanf(text, format, values);
  va_end(values);
  return read;
}

// Of glibc 2.38, too: as much of `from` as `size` bytes hold with the zero at the end; returns its length.
size_t strlcpy(char *to, const char *from, size_t size) {
  size_t length = 0;
  for (; from[length]; length++) {
    if (length + 1 < size) to[length] = from[length];
  }
  if (size) to[length < size ? length : size - 1] = 0;
  return length;
}
