// Models that are opened, used and closed again and again leave nothing behind.

#include <dirent.h>
#include <unistd.h>

#include "check.h"

static int entries(const char *folder) {
  DIR *directory = opendir(folder);
  CHECK(directory != NULL);
  int count = 0;
  while (readdir(directory) != NULL) count += 1;
  closedir(directory);
  return count;
}

// Resident bytes.
static long resident(void) {
  long total, pages;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL);
  CHECK(fscanf(file, "%ld %ld", &total, &pages) == 2);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static int ignore(const char *text, size_t length, void *user) {
  (void)text;
  (void)length;
  (void)user;
  return 0;
}

static void once(const files *files) {
  vlmz_model *model = open_model(files->llava);
  vlmz_image *image = open_image(files->cup);
  vlmz_session *session;
  vlmz_picture *picture;
  vlmz_conversation *conversation;
  vlmz_answer *answer;
  char *json;
  OK(vlmz_model_describe(model, &json));
  vlmz_free(json);
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_encode(session, image, NULL, &picture));
  OK(vlmz_conversation_create(model, NULL, &conversation));
  OK(vlmz_conversation_ask(
      conversation, "What is in the picture?", &picture, 1, NULL, ignore, NULL, &answer));
  vlmz_free(answer);
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_picture_free(picture));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));

  vlmz_candidate *candidates;
  size_t count;
  vlmz_model *damaged;
  model = open_model(files->classifier);
  image = open_image(files->horse);
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_classify(session, image, 3, &candidates, &count));
  vlmz_free(candidates);
  EXPECT(VLMZ_BAD_DATA, vlmz_model_open(files->horse, NULL, &damaged));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));
  OK(vlmz_session_free(session));
}

void test_growth(const files *files) {
  enum { warm_up = 20, rounds = 100, allowed = 2 << 20 };
  for (int round = 0; round < warm_up; round += 1) once(files);
  int descriptors = entries("/proc/self/fd");
  int threads = entries("/proc/self/task");
  long bytes = resident();
  for (int round = 0; round < rounds; round += 1) once(files);
  CHECK(entries("/proc/self/fd") == descriptors);
  CHECK(entries("/proc/self/task") <= threads);
  // A leaked model or context would be a hundred times its size.
  CHECK(resident() - bytes < allowed);
}
