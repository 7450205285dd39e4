// Loads the library as a plug-in would, knowing nothing of what it is made of.
//
//   loader LIBRARY MODEL PICTURE NAME…
//
// NAMEs are those of all functions. Prints the label of the first class. Fails unless the library
// left the process alone: no handler of a signal, no change of the mask, no Swift from elsewhere.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>

#include "check.h"

enum { signals = 65 };

static void read_handlers(struct sigaction handlers[signals]) {
  memset(handlers, 0, signals * sizeof *handlers);
  for (int number = 1; number < signals; number += 1) sigaction(number, NULL, &handlers[number]);
}

static void *find(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) fprintf(stderr, "%s\n", dlerror());
  CHECK(symbol != NULL);
  return symbol;
}

// A function of the library by its name, with the type that the header gives it.
#define FIND(library, name) ((__typeof__(&name))find((library), #name))

static void use(void *library, const char *model_path, const char *image_path, int prints) {
  vlmz_model *model;
  vlmz_image *image;
  vlmz_session *session;
  vlmz_candidate *candidates;
  size_t count;
  CHECK(FIND(library, vlmz_model_open)(model_path, NULL, &model) == VLMZ_OK);
  CHECK(FIND(library, vlmz_image_from_file)(image_path, NULL, &image) == VLMZ_OK);
  CHECK(FIND(library, vlmz_session_create)(model, NULL, &session) == VLMZ_OK);
  CHECK(FIND(library, vlmz_session_classify)(session, image, 1, &candidates, &count) == VLMZ_OK);
  if (prints) printf("%s\n", candidates[0].label);
  FIND(library, vlmz_free)(candidates);
  CHECK(FIND(library, vlmz_session_free)(session) == VLMZ_OK);
  CHECK(FIND(library, vlmz_image_free)(image) == VLMZ_OK);
  CHECK(FIND(library, vlmz_model_free)(model) == VLMZ_OK);
}

int main(int argc, char **argv) {
  static struct sigaction before[signals], after[signals];
  sigset_t mask_before, mask_after;
  CHECK(argc > 4);
  read_handlers(before);
  sigprocmask(SIG_SETMASK, NULL, &mask_before);
  for (int round = 0; round < 3; round += 1) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    for (int index = 4; index < argc; index += 1) find(library, argv[index]);
    use(library, argv[2], argv[3], round == 0);
    CHECK(dlclose(library) == 0);
  }
  read_handlers(after);
  for (int number = 1; number < signals; number += 1) {
    CHECK(after[number].sa_handler == before[number].sa_handler);
  }
  sigprocmask(SIG_SETMASK, NULL, &mask_after);
  for (int number = 1; number < signals; number += 1) {
    CHECK(sigismember(&mask_before, number) == sigismember(&mask_after, number));
  }
  char line[8192];
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    CHECK(strstr(line, "/libswift") == NULL && strstr(line, "/libdispatch") == NULL);
    CHECK(strstr(line, "/libFoundation") == NULL);
  }
  fclose(maps);
  return 0;
}
