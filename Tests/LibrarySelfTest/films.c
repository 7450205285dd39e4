// Questions about films: frames, an animated GIF by name and by its bytes, and what is refused.

#include <vlmz_film.h>

#include "check.h"

enum { frame_count = 6 };

// A file beside the models.
static void beside(char *path, const files *files, const char *file) {
  CHECK((size_t)snprintf(path, 4096, "%s%s", files->folder, file) < 4096);
}

// What a new conversation answers about a film, for vlmz_free().
static vlmz_answer *ask(vlmz_model *model, const vlmz_film *film, int32_t tokens) {
  vlmz_answer_options options = VLMZ_ANSWER_OPTIONS_INIT;
  options.maximum_tokens = tokens;
  options.temperature = 0;
  vlmz_conversation *conversation;
  vlmz_answer *answer;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  OK(vlmz_conversation_ask_about_film(
      conversation, "What happens?", film, &options, NULL, NULL, &answer));
  CHECK(answer->picture_tokens > 0 && answer->tokens > 0);
  OK(vlmz_conversation_free(conversation));
  return answer;
}

static int count_pieces(const char *text, size_t length, void *user) {
  CHECK(text[length] == 0);
  *(int *)user += 1;
  return 0;
}

// Frames are seen as transformers shows them: the answer is its model's.
static void test_frames(vlmz_model *model, vlmz_image *frames[frame_count]) {
  vlmz_film film = VLMZ_FILM_INIT;
  film.frames = frames;
  film.frame_count = frame_count;
  film.frames_per_second = 1;
  vlmz_answer *answer = ask(model, &film, 8);
  CHECK(strncmp(answer->text, " First green, then yellow.", 26) == 0);
  vlmz_free(answer);

  vlmz_conversation *conversation;
  int pieces = 0;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  OK(vlmz_conversation_ask_about_film(
      conversation, "What happens?", &film, NULL, count_pieces, &pieces, NULL));
  CHECK(pieces > 0);
  OK(vlmz_conversation_free(conversation));
}

// By name or by its bytes, with its own rate: five frames, of which the model sees those that fit.
static void test_animation(vlmz_model *model, const char *path) {
  vlmz_film film = VLMZ_FILM_INIT;
  film.path = path;
  vlmz_answer *named = ask(model, &film, 8);
  size_t count;
  unsigned char *bytes = read_file(path, &count);
  film.path = NULL;
  film.bytes = bytes;
  film.byte_count = count;
  vlmz_answer *held = ask(model, &film, 8);
  CHECK(strcmp(named->text, held->text) == 0);
  CHECK(named->picture_tokens == held->picture_tokens);
  vlmz_free(held);
  // Slower, the film is longer, and more of it is seen.
  film.frames_per_second = 1;
  vlmz_answer *slow = ask(model, &film, 8);
  CHECK(slow->picture_tokens > named->picture_tokens);
  vlmz_free(slow);
  vlmz_free(named);
  film.maximum_pixels = 1;
  vlmz_conversation *conversation;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  EXPECT(
      VLMZ_BAD_DATA, vlmz_conversation_ask_about_film(
                         conversation, "?", &film, NULL, NULL, NULL, NULL));
  OK(vlmz_conversation_free(conversation));
  free(bytes);
}

static void test_refusals(
    const files *files, vlmz_model *model, vlmz_image *frames[frame_count], const char *path) {
  vlmz_conversation *conversation;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  vlmz_answer *answer = (vlmz_answer *)files;
  vlmz_film film = VLMZ_FILM_INIT;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", NULL, NULL, NULL, NULL, &answer));
  CHECK(answer == NULL);
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  film.path = path;
  film.frames = frames;
  film.frame_count = frame_count;
  film.frames_per_second = 1;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  CHECK(strstr(vlmz_last_error(), "2 of frames, path and bytes") != NULL);
  film.path = NULL;
  REFUSED(vlmz_conversation_ask_about_film(NULL, "?", &film, NULL, NULL, NULL, NULL));
  REFUSED(vlmz_conversation_ask_about_film(conversation, NULL, &film, NULL, NULL, NULL, NULL));
  REFUSED(
      vlmz_conversation_ask_about_film(conversation, "<image>?", &film, NULL, NULL, NULL, NULL));
  film.frames_per_second = 0;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  film.frames_per_second = -1;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  film.frames_per_second = 1;
  film.size -= 8;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  film.size += 8;
  vlmz_image *freed[] = {NULL};
  film.frames = freed;
  film.frame_count = 1;
  REFUSED(vlmz_conversation_ask_about_film(conversation, "?", &film, NULL, NULL, NULL, NULL));
  film.frames = NULL;
  film.frame_count = 0;
  film.path = files->horse;
  EXPECT(
      VLMZ_BAD_DATA, vlmz_conversation_ask_about_film(
                         conversation, "?", &film, NULL, NULL, NULL, NULL));
  CHECK(strstr(vlmz_last_error(), "found PNG, expected an animated GIF") != NULL);
  film.path = "no such file";
  EXPECT(
      VLMZ_NOT_FOUND, vlmz_conversation_ask_about_film(
                          conversation, "?", &film, NULL, NULL, NULL, NULL));
  OK(vlmz_conversation_free(conversation));

  vlmz_model *llava = open_model(files->llava);
  OK(vlmz_conversation_create(llava, NULL, &conversation));
  film.path = path;
  EXPECT(
      VLMZ_NOT_CAPABLE, vlmz_conversation_ask_about_film(
                            conversation, "?", &film, NULL, NULL, NULL, NULL));
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_model_free(llava));
}

void test_films(const files *files) {
  vlmz_model *model = open_model(files->smolvlm);
  vlmz_image *frames[frame_count];
  char path[4096];
  for (int number = 0; number < frame_count; number += 1) {
    char file[] = "frame-0.png";
    file[6] = (char)('0' + number);
    beside(path, files, file);
    frames[number] = open_image(path);
  }
  beside(path, files, "film.gif");
  test_frames(model, frames);
  test_animation(model, path);
  test_refusals(files, model, frames, path);
  for (int number = 0; number < frame_count; number += 1) OK(vlmz_image_free(frames[number]));
  OK(vlmz_model_free(model));
}
