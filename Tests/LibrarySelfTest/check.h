// What the parts of the self test share.

#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vlmz.h>

// Ends the program unless condition holds.
#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);        \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

// Ends the program unless call has the status wanted.
#define EXPECT(wanted, call) expect((wanted), (call), __FILE__, __LINE__, #call)
#define OK(call) EXPECT(VLMZ_OK, call)
#define REFUSED(call) EXPECT(VLMZ_INVALID_ARGUMENT, call)

static inline void expect(
    vlmz_status wanted, vlmz_status status, const char *file, int line, const char *call) {
  if (status == wanted) return;
  fprintf(
      stderr, "%s:%d: %s: %s (%s), expected %s\n", file, line, call, vlmz_status_name(status),
      vlmz_last_error(), vlmz_status_name(wanted));
  exit(1);
}

// Names of files, from the folder that the test was given.
typedef struct files {
  char classifier[4096];
  char packed[4096];
  char cache[4096];
  char joint[4096];
  char llava[4096];
  char stories[4096];
  char smolvlm[4096];
  // A folder with film.gif and frame-0.png to frame-5.png.
  char folder[4096];
  char horse[4096];
  char cup[4096];
  char embedding[4096];
  char answer[4096];
  // A folder as timm saves it, which the classifier was made of.
  char checkpoint[4096];
} files;

// The instruction set that models are opened with; NULL for the best.
extern const char *instruction_set;

// Whether what is done several times to find rare faults is done once: each step takes long.
extern int is_short;

// A model of a file, with that instruction set and two threads.
vlmz_model *open_model(const char *path);
vlmz_image *open_image(const char *path);

// The bytes of a file; count of them, for free().
unsigned char *read_file(const char *path, size_t *count);

// The parts, by name.
void test_results(const files *files);
void test_misuse(const files *files);
void test_threads(const files *files);
void test_cancellation(const files *files);
void test_growth(const files *files);
void test_many_images(const files *files);
void test_films(const files *files);
void test_conversion(const files *files);
void write_results(const files *files);

#endif
