// What each function gives when it is used rightly.

#include <math.h>
#include <stddef.h>

#include "check.h"

static void test_versions(void) {
  CHECK(vlmz_abi_version() >= VLMZ_ABI_VERSION);
  CHECK(strchr(vlmz_version(), '.') != NULL);
  CHECK(strcmp(vlmz_status_name(VLMZ_OK), "VLMZ_OK") == 0);
  for (vlmz_status status = VLMZ_OK; status <= VLMZ_NOT_TRUSTED; status += 1) {
    CHECK(strncmp(vlmz_status_name(status), "VLMZ_", 5) == 0);
  }
  CHECK(strcmp(vlmz_status_name(-1), "unknown") == 0);
  CHECK(strcmp(vlmz_status_name(VLMZ_NOT_TRUSTED + 1), "unknown") == 0);
  vlmz_free(NULL);
}

// A packed model is opened where a program names a folder for it, also one compiled with an older header.
static void test_packed(const files *files) {
  vlmz_model_options options = VLMZ_MODEL_OPTIONS_INIT;
  vlmz_model *model;
  CHECK(vlmz_model_open(files->packed, &options, &model) != VLMZ_OK && model == NULL);
  CHECK(strstr(vlmz_last_error(), "is packed") != NULL);
  options.size = offsetof(vlmz_model_options, memory_bytes);
  options.cache_folder = files->cache;
  CHECK(vlmz_model_open(files->packed, &options, &model) != VLMZ_OK && model == NULL);
  CHECK(strstr(vlmz_last_error(), "is packed") != NULL);
  options.size = sizeof options;
  options.cache_bytes = 1;
  CHECK(vlmz_model_open(files->packed, &options, &model) != VLMZ_OK && model == NULL);
  CHECK(strstr(vlmz_last_error(), "the limit of the cache") != NULL);
  options.cache_bytes = 0;
  uint32_t capabilities;
  for (int run = 0; run < 2; run += 1) {
    OK(vlmz_model_open(files->packed, &options, &model));
    OK(vlmz_model_capabilities(model, &capabilities));
    CHECK(capabilities == (VLMZ_CLASSIFIES_IMAGES | VLMZ_EMBEDS_IMAGES));
    OK(vlmz_model_free(model));
  }
}

static void test_classifier(const files *files) {
  vlmz_model *model = open_model(files->classifier);
  uint32_t capabilities;
  OK(vlmz_model_capabilities(model, &capabilities));
  CHECK(capabilities == (VLMZ_CLASSIFIES_IMAGES | VLMZ_EMBEDS_IMAGES));
  char *json;
  OK(vlmz_model_describe(model, &json));
  CHECK(json[0] == '{');
  CHECK(strstr(json, "\"horse\"") != NULL);
  vlmz_free(json);

  vlmz_image *image = open_image(files->horse);
  vlmz_session *session;
  OK(vlmz_session_create(model, NULL, &session));
  // The handle is all that goes.
  OK(vlmz_model_free(model));
  vlmz_candidate *candidates;
  size_t count;
  OK(vlmz_session_classify(session, image, 3, &candidates, &count));
  CHECK(count == 3);
  CHECK(strcmp(candidates[0].label, "horse") == 0);
  CHECK(candidates[0].score > 0.5 && candidates[0].score <= 1);
  CHECK(candidates[0].score >= candidates[1].score && candidates[1].score >= candidates[2].score);
  CHECK(candidates[0].index == 7);
  vlmz_free(candidates);
  // More than there are, also where the number is beyond any.
  OK(vlmz_session_classify(session, image, SIZE_MAX, &candidates, &count));
  CHECK(count == 10);
  double sum = 0;
  for (size_t index = 0; index < count; index += 1) sum += candidates[index].score;
  CHECK(fabs(sum - 1) < 1e-9);
  vlmz_free(candidates);

  float *values;
  OK(vlmz_session_embed_image(session, image, &values, &count));
  CHECK(count > 16);
  for (size_t index = 0; index < count; index += 1) CHECK(isfinite(values[index]));
  vlmz_free(values);
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(image));
}

// The scores of an image by a model, all of them.
static void classify(vlmz_session *session, vlmz_image *image, double scores[10]) {
  vlmz_candidate *candidates;
  size_t count;
  OK(vlmz_session_classify(session, image, 10, &candidates, &count));
  CHECK(count == 10);
  for (size_t index = 0; index < count; index += 1) {
    scores[candidates[index].index] = candidates[index].score;
  }
  vlmz_free(candidates);
}

static int released;
static void on_release(void *user) {
  CHECK(user == &released);
  released += 1;
}

// Pixels in each layout are the same image, with and without gaps, and so are a file and its bytes.
static void test_images(const files *files) {
  enum { width = 20, height = 30, gap = 7 };
  static unsigned char memory[height * (width * 4 + gap)];
  static const struct {
    int32_t format;
    int red, green, blue, opacity, size;
  } layouts[] = {
      {VLMZ_RGB8, 0, 1, 2, -1, 3},  {VLMZ_RGBA8, 0, 1, 2, 3, 4}, {VLMZ_BGR8, 2, 1, 0, -1, 3},
      {VLMZ_BGRA8, 2, 1, 0, 3, 4},
  };
  vlmz_model *model = open_model(files->classifier);
  vlmz_session *session;
  OK(vlmz_session_create(model, NULL, &session));
  double first[10], scores[10];
  int images = 0;
  for (size_t layout = 0; layout < sizeof layouts / sizeof *layouts; layout += 1) {
    for (int spare = 0; spare <= gap; spare += gap) {
      size_t row_bytes = (size_t)(width * layouts[layout].size + spare);
      memset(memory, 0xee, sizeof memory);
      for (int y = 0; y < height; y += 1) {
        for (int x = 0; x < width; x += 1) {
          size_t place = (size_t)y * row_bytes + (size_t)(x * layouts[layout].size);
          unsigned char *pixel = memory + place;
          pixel[layouts[layout].red] = (unsigned char)(x * 11);
          pixel[layouts[layout].green] = (unsigned char)(y * 8);
          pixel[layouts[layout].blue] = (unsigned char)(x * y);
          if (layouts[layout].opacity >= 0) pixel[layouts[layout].opacity] = 255;
        }
      }
      vlmz_pixels pixels = VLMZ_PIXELS_INIT;
      pixels.data = memory;
      pixels.width = width;
      pixels.height = height;
      pixels.bytes_per_row = spare ? row_bytes : 0;
      pixels.format = layouts[layout].format;
      pixels.release = on_release;
      pixels.user = &released;
      vlmz_image *image;
      OK(vlmz_image_from_pixels(&pixels, NULL, &image));
      uint32_t found_width, found_height;
      OK(vlmz_image_get_size(image, &found_width, &found_height));
      CHECK(found_width == width && found_height == height);
      OK(vlmz_image_get_size(image, NULL, NULL));
      classify(session, image, images == 0 ? first : scores);
      if (images > 0) CHECK(memcmp(first, scores, sizeof first) == 0);
      images += 1;
      CHECK(released == images - 1);
      OK(vlmz_image_free(image));
      CHECK(released == images);
    }
  }
  // Gray is gray in all channels.
  memset(memory, 100, sizeof memory);
  vlmz_pixels pixels = VLMZ_PIXELS_INIT;
  pixels.data = memory;
  pixels.width = width;
  pixels.height = height;
  vlmz_image *image;
  pixels.format = VLMZ_GRAY8;
  OK(vlmz_image_from_pixels(&pixels, NULL, &image));
  classify(session, image, first);
  OK(vlmz_image_free(image));
  pixels.format = VLMZ_RGB8;
  OK(vlmz_image_from_pixels(&pixels, NULL, &image));
  classify(session, image, scores);
  OK(vlmz_image_free(image));
  CHECK(memcmp(first, scores, sizeof first) == 0);
  // What shines through where nothing is opaque.
  memset(memory, 0, sizeof memory);
  vlmz_image_options options = VLMZ_IMAGE_OPTIONS_INIT;
  options.background = 0x646464;
  pixels.format = VLMZ_RGBA8;
  OK(vlmz_image_from_pixels(&pixels, &options, &image));
  classify(session, image, scores);
  OK(vlmz_image_free(image));
  CHECK(memcmp(first, scores, sizeof first) == 0);

  size_t count;
  unsigned char *bytes = read_file(files->horse, &count);
  OK(vlmz_image_from_bytes(bytes, count, NULL, &image));
  memset(bytes, 0, count);
  free(bytes);
  classify(session, image, first);
  // Twice: it is decoded again.
  classify(session, image, scores);
  CHECK(memcmp(first, scores, sizeof first) == 0);
  OK(vlmz_image_free(image));
  image = open_image(files->horse);
  classify(session, image, scores);
  CHECK(memcmp(first, scores, sizeof first) == 0);
  OK(vlmz_image_free(image));
  OK(vlmz_session_free(session));
  OK(vlmz_model_free(model));
}

static void test_joint(const files *files) {
  static const char *const labels[] = {"cat", "dog", "horse"};
  static const char *const templates[] = {"a photo of a {}", "{}"};
  vlmz_model *model = open_model(files->joint);
  uint32_t capabilities;
  OK(vlmz_model_capabilities(model, &capabilities));
  CHECK(capabilities & VLMZ_CLASSIFIES_BY_TEXT);
  CHECK(capabilities & VLMZ_EMBEDS_TEXTS);
  CHECK(!(capabilities & VLMZ_WRITES_TEXT));
  vlmz_image *image = open_image(files->horse);
  vlmz_session *session;
  OK(vlmz_session_create(model, NULL, &session));
  float *text, *seen;
  size_t text_count, seen_count;
  OK(vlmz_session_embed_text(session, "a photo of a cat", &text, &text_count));
  OK(vlmz_session_embed_image(session, image, &seen, &seen_count));
  CHECK(text_count == seen_count);
  double norms[2] = {0, 0};
  for (size_t index = 0; index < text_count; index += 1) {
    norms[0] += (double)text[index] * text[index];
    norms[1] += (double)seen[index] * seen[index];
  }
  CHECK(fabs(norms[0] - 1) < 1e-5 && fabs(norms[1] - 1) < 1e-5);
  vlmz_free(text);
  vlmz_free(seen);

  vlmz_text_classes *classes;
  OK(vlmz_session_make_text_classes(session, labels, 3, templates, 2, &classes));
  vlmz_candidate *candidates;
  size_t count;
  OK(vlmz_session_classify_by_text(session, image, classes, 3, &candidates, &count));
  CHECK(count == 3);
  double sum = 0;
  for (size_t index = 0; index < count; index += 1) {
    CHECK(strcmp(candidates[index].label, labels[candidates[index].index]) == 0);
    sum += candidates[index].score;
  }
  CHECK(fabs(sum - 1) < 1e-9);
  vlmz_free(candidates);
  OK(vlmz_text_classes_free(classes));
  OK(vlmz_session_make_text_classes(session, labels, 3, NULL, 0, &classes));
  OK(vlmz_session_classify_by_text(session, image, classes, 1, &candidates, &count));
  CHECK(count == 1);
  vlmz_free(candidates);
  OK(vlmz_text_classes_free(classes));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));
}

// An answer that is put together again.
typedef struct pieces {
  char text[4096];
  size_t length;
  int count;
} pieces;

static int take(const char *text, size_t length, void *user) {
  pieces *pieces = user;
  CHECK(text[length] == '\0');
  CHECK(pieces->length + length < sizeof pieces->text);
  memcpy(pieces->text + pieces->length, text, length + 1);
  pieces->length += length;
  pieces->count += 1;
  return 0;
}

static void test_pictures(const files *files) {
  vlmz_model *model = open_model(files->llava);
  vlmz_image *image = open_image(files->cup);
  vlmz_session *session;
  OK(vlmz_session_create(model, NULL, &session));
  vlmz_picture *picture;
  OK(vlmz_session_encode(session, image, NULL, &picture));
  size_t tokens;
  OK(vlmz_picture_get_token_count(picture, &tokens));
  CHECK(tokens > 0);
  vlmz_conversation *conversation;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  size_t length;
  OK(vlmz_conversation_get_context_length(conversation, &length));
  CHECK(length > tokens);

  // One picture, encoded once, asked about often.
  for (int turn = 0; turn < 2; turn += 1) {
    pieces pieces = {"", 0, 0};
    vlmz_answer *answer;
    OK(vlmz_conversation_ask(
        conversation, "What is in the picture?", &picture, 1, NULL, take, &pieces, &answer));
    CHECK(strcmp(answer->text, "A cup of coffee on a table.") == 0);
    CHECK(answer->length == strlen(answer->text));
    CHECK(pieces.length == answer->length && memcmp(pieces.text, answer->text, pieces.length) == 0);
    CHECK(pieces.count > 1);
    CHECK(answer->ending == VLMZ_ENDING_STOP_TOKEN || answer->ending == VLMZ_ENDING_STOP_TEXT);
    CHECK(answer->picture_tokens == (int32_t)tokens);
    CHECK(answer->prompt_tokens > 0 && answer->tokens > 0);
    vlmz_free(answer);
    OK(vlmz_conversation_clear(conversation));
  }
  OK(vlmz_image_free(image));
  OK(vlmz_session_free(session));
  OK(vlmz_model_free(model));
  // Neither the model's handle nor the session is needed any more.
  OK(vlmz_conversation_ask(
      conversation, "What is in the picture?", &picture, 1, NULL, NULL, NULL, NULL));
  OK(vlmz_picture_free(picture));
  OK(vlmz_conversation_free(conversation));
}

static void test_stories(const files *files) {
  static const char *const stops[] = {"there"};
  vlmz_model *model = open_model(files->stories);
  uint32_t capabilities;
  OK(vlmz_model_capabilities(model, &capabilities));
  CHECK(capabilities == VLMZ_WRITES_TEXT);
  vlmz_conversation_options options = VLMZ_CONVERSATION_OPTIONS_INIT;
  options.chat_template = "none";
  options.context_length = 64;
  options.key_values = "f32";
  vlmz_conversation *conversation;
  OK(vlmz_conversation_create(model, &options, &conversation));
  size_t length;
  OK(vlmz_conversation_get_context_length(conversation, &length));
  CHECK(length == 64);
  vlmz_answer_options how = VLMZ_ANSWER_OPTIONS_INIT;
  vlmz_answer *answer;
  how.maximum_tokens = 5;
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time", NULL, 0, &how, NULL, NULL, &answer));
  CHECK(answer->tokens == 5);
  CHECK(answer->ending == VLMZ_ENDING_LENGTH);
  vlmz_free(answer);
  OK(vlmz_conversation_clear(conversation));
  how.maximum_tokens = 0;
  how.stops = stops;
  how.stop_count = 1;
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time,", NULL, 0, &how, NULL, NULL, &answer));
  CHECK(answer->ending == VLMZ_ENDING_STOP_TEXT);
  CHECK(strstr(answer->text, "there") == NULL);
  vlmz_free(answer);
  OK(vlmz_conversation_clear(conversation));
  // As a program has it that was compiled with version 2.
  how.size = offsetof(vlmz_answer_options, json_schema);
  how.grammar = "root ::= [0-9]";
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time,", NULL, 0, &how, NULL, NULL, &answer));
  CHECK(answer->ending == VLMZ_ENDING_STOP_TEXT);
  vlmz_free(answer);
  OK(vlmz_conversation_clear(conversation));
  how.size = sizeof how;
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time,", NULL, 0, &how, NULL, NULL, &answer));
  CHECK(answer->ending == VLMZ_ENDING_COMPLETE);
  CHECK(answer->length == 1 && answer->text[0] >= '0' && answer->text[0] <= '9');
  vlmz_free(answer);
  how.json_schema = "{}";
  EXPECT(VLMZ_INVALID_ARGUMENT, vlmz_conversation_ask(
      conversation, "Once", NULL, 0, &how, NULL, NULL, &answer));
  OK(vlmz_conversation_clear(conversation));
  // Drawn with one seed, twice the same; the context ends it.
  char *texts[2];
  for (int run = 0; run < 2; run += 1) {
    vlmz_answer_options drawn = VLMZ_ANSWER_OPTIONS_INIT;
    drawn.temperature = 1;
    drawn.top_k = 40;
    drawn.top_p = 0.95;
    drawn.min_p = 0.01;
    drawn.repeat_penalty = 1.1;
    drawn.seed = 7;
    // Proposals change nothing of the text.
    drawn.speculated_tokens = run == 0 ? -1 : 7;
    OK(vlmz_conversation_ask(
        conversation, "Once upon a time", NULL, 0, &drawn, NULL, NULL, &answer));
    CHECK(answer->ending == VLMZ_ENDING_CONTEXT || answer->ending == VLMZ_ENDING_STOP_TOKEN);
    CHECK(answer->accepted_tokens <= answer->proposed_tokens);
    CHECK(run == 1 || answer->proposed_tokens == 0);
    texts[run] = strdup(answer->text);
    vlmz_free(answer);
    OK(vlmz_conversation_clear(conversation));
  }
  how = (vlmz_answer_options)VLMZ_ANSWER_OPTIONS_INIT;
  how.speculated_tokens = 8;
  EXPECT(VLMZ_INVALID_ARGUMENT, vlmz_conversation_ask(
      conversation, "Once", NULL, 0, &how, NULL, NULL, &answer));
  CHECK(strcmp(texts[0], texts[1]) == 0);
  free(texts[0]);
  free(texts[1]);
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_model_free(model));
}

void test_results(const files *files) {
  test_versions();
  test_classifier(files);
  test_packed(files);
  test_images(files);
  test_joint(files);
  test_pictures(files);
  test_stories(files);
}

static void write_file(const char *path, const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL);
  CHECK(fwrite(bytes, 1, count, file) == count);
  CHECK(fclose(file) == 0);
}

void write_results(const files *files) {
  vlmz_model *model = open_model(files->classifier);
  vlmz_image *image = open_image(files->horse);
  vlmz_session *session;
  float *values;
  size_t count;
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_embed_image(session, image, &values, &count));
  write_file(files->embedding, values, count * sizeof *values);
  vlmz_free(values);
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));

  model = open_model(files->stories);
  vlmz_conversation *conversation;
  vlmz_answer *answer;
  vlmz_answer_options how = VLMZ_ANSWER_OPTIONS_INIT;
  how.maximum_tokens = 60;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time", NULL, 0, &how, NULL, NULL, &answer));
  write_file(files->answer, answer->text, answer->length);
  vlmz_free(answer);
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_model_free(model));
}
