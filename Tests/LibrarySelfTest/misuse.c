// Wrong uses give a status and a message; results are left NULL and 0.

#include <math.h>
#include <unistd.h>

#include "check.h"

// Handles of each kind that are good, and one that was freed.
typedef struct handles {
  vlmz_model *classifier, *stories;
  vlmz_image *image;
  vlmz_session *session, *blind;
  vlmz_conversation *conversation;
  vlmz_session *freed;
} handles;

static void test_handles(const handles *good) {
  // NULL, freed, of another kind, never given.
  void *bad[] = {NULL, good->freed, good->image, (void *)~(uintptr_t)0, (void *)8};
  for (size_t index = 0; index < sizeof bad / sizeof *bad; index += 1) {
    void *handle = bad[index];
    vlmz_session *session = (vlmz_session *)good;
    vlmz_conversation *conversation = (vlmz_conversation *)good;
    vlmz_picture *picture = (vlmz_picture *)good;
    vlmz_text_classes *classes = (vlmz_text_classes *)good;
    vlmz_candidate *candidates = (vlmz_candidate *)good;
    vlmz_answer *answer = (vlmz_answer *)good;
    float *values = (float *)good;
    char *json = (char *)good;
    const char *label = "cat";
    uint32_t capabilities = 99;
    size_t count = 99;
    REFUSED(vlmz_model_capabilities(handle, &capabilities));
    CHECK(capabilities == 0);
    REFUSED(vlmz_model_describe(handle, &json));
    CHECK(json == NULL);
    REFUSED(vlmz_session_create(handle, NULL, &session));
    CHECK(session == NULL);
    REFUSED(vlmz_conversation_create(handle, NULL, &conversation));
    CHECK(conversation == NULL);
    REFUSED(vlmz_session_classify(handle, good->image, 1, &candidates, &count));
    CHECK(candidates == NULL && count == 0);
    REFUSED(vlmz_session_embed_image(handle, good->image, &values, &count));
    CHECK(values == NULL);
    REFUSED(vlmz_session_embed_text(handle, "cat", &values, &count));
    REFUSED(vlmz_session_make_text_classes(handle, &label, 1, NULL, 0, &classes));
    CHECK(classes == NULL);
    REFUSED(vlmz_session_classify_by_text(handle, good->image, classes, 1, &candidates, &count));
    REFUSED(vlmz_session_classify_by_text(
        good->session, good->image, handle, 1, &candidates, &count));
    REFUSED(vlmz_session_encode(handle, good->image, NULL, &picture));
    CHECK(picture == NULL);
    REFUSED(vlmz_session_cancel(handle));
    count = 99;
    REFUSED(vlmz_picture_get_token_count(handle, &count));
    CHECK(count == 0);
    REFUSED(vlmz_conversation_ask(handle, "?", NULL, 0, NULL, NULL, NULL, &answer));
    CHECK(answer == NULL);
    picture = handle;
    REFUSED(vlmz_conversation_ask(
        good->conversation, "?", &picture, 1, NULL, NULL, NULL, &answer));
    REFUSED(vlmz_conversation_clear(handle));
    REFUSED(vlmz_conversation_cancel(handle));
    count = 99;
    REFUSED(vlmz_conversation_get_context_length(handle, &count));
    CHECK(count == 0);
    if (handle == good->image) continue;
    uint32_t width = 99, height = 99;
    REFUSED(vlmz_image_get_size(handle, &width, &height));
    CHECK(width == 0 && height == 0);
    REFUSED(vlmz_session_classify(good->session, handle, 1, &candidates, &count));
    REFUSED(vlmz_session_embed_image(good->session, handle, &values, &count));
    REFUSED(vlmz_session_encode(good->session, handle, NULL, &picture));
  }
  REFUSED(vlmz_session_free(good->freed));
  REFUSED(vlmz_session_free((vlmz_session *)good->image));
  REFUSED(vlmz_image_free((vlmz_image *)good->session));
  REFUSED(vlmz_model_free((vlmz_model *)good->session));
  REFUSED(vlmz_picture_free((vlmz_picture *)good->session));
  REFUSED(vlmz_text_classes_free((vlmz_text_classes *)good->session));
  REFUSED(vlmz_conversation_free((vlmz_conversation *)good->session));
  OK(vlmz_model_free(NULL));
  OK(vlmz_image_free(NULL));
  OK(vlmz_session_free(NULL));
  OK(vlmz_picture_free(NULL));
  OK(vlmz_text_classes_free(NULL));
  OK(vlmz_conversation_free(NULL));
}

// No place for a result, no text, no array.
static void test_null(const handles *good) {
  vlmz_candidate *candidates;
  vlmz_answer *answer;
  float *values;
  size_t count;
  vlmz_image *image;
  vlmz_model *model;
  vlmz_text_classes *classes;
  vlmz_pixels pixels = VLMZ_PIXELS_INIT;
  REFUSED(vlmz_model_open(NULL, NULL, &model));
  CHECK(model == NULL);
  REFUSED(vlmz_model_open("x", NULL, NULL));
  REFUSED(vlmz_model_capabilities(good->classifier, NULL));
  REFUSED(vlmz_model_describe(good->classifier, NULL));
  REFUSED(vlmz_image_from_file(NULL, NULL, &image));
  REFUSED(vlmz_image_from_file("x", NULL, NULL));
  REFUSED(vlmz_image_from_bytes(NULL, 1, NULL, &image));
  REFUSED(vlmz_image_from_bytes("x", 1, NULL, NULL));
  REFUSED(vlmz_image_from_bytes("x", SIZE_MAX, NULL, &image));
  REFUSED(vlmz_image_from_pixels(NULL, NULL, &image));
  REFUSED(vlmz_image_from_pixels(&pixels, NULL, NULL));
  REFUSED(vlmz_session_create(good->classifier, NULL, NULL));
  count = 99;
  REFUSED(vlmz_session_classify(good->session, good->image, 1, NULL, &count));
  CHECK(count == 0);
  REFUSED(vlmz_session_classify(good->session, good->image, 1, &candidates, NULL));
  CHECK(candidates == NULL);
  REFUSED(vlmz_session_classify(good->session, good->image, 0, &candidates, &count));
  REFUSED(vlmz_session_embed_image(good->session, good->image, NULL, &count));
  REFUSED(vlmz_session_embed_image(good->session, good->image, &values, NULL));
  REFUSED(vlmz_session_embed_text(good->session, NULL, &values, &count));
  REFUSED(vlmz_session_embed_text(good->session, "\xff", &values, &count));
  REFUSED(vlmz_session_make_text_classes(good->session, NULL, 1, NULL, 0, &classes));
  REFUSED(vlmz_session_make_text_classes(good->session, NULL, SIZE_MAX, NULL, 0, &classes));
  REFUSED(vlmz_session_make_text_classes(good->session, NULL, 0, NULL, 0, NULL));
  REFUSED(vlmz_session_encode(good->session, good->image, NULL, NULL));
  REFUSED(vlmz_conversation_create(good->stories, NULL, NULL));
  REFUSED(vlmz_conversation_ask(good->conversation, NULL, NULL, 0, NULL, NULL, NULL, &answer));
  REFUSED(vlmz_conversation_ask(
      good->conversation, "\xc3(", NULL, 0, NULL, NULL, NULL, &answer));
  CHECK(strstr(vlmz_last_error(), "UTF-8") != NULL);
  REFUSED(vlmz_conversation_ask(good->conversation, "?", NULL, 1, NULL, NULL, NULL, &answer));
  REFUSED(vlmz_conversation_get_context_length(good->conversation, NULL));
}

// Sizes that were never written, and members that this library does not know.
static void test_sizes(const handles *good, const files *files) {
  struct {
    vlmz_model_options known;
    char later[16];
  } options;
  vlmz_model *model;
  memset(&options, 0, sizeof options);
  REFUSED(vlmz_model_open(files->classifier, &options.known, &model));
  options.known.size = sizeof options.known - 1;
  REFUSED(vlmz_model_open(files->classifier, &options.known, &model));
  options.known.size = SIZE_MAX;
  REFUSED(vlmz_model_open(files->classifier, &options.known, &model));
  CHECK(strstr(vlmz_last_error(), " to 65536") != NULL);
  options.known.size = sizeof options;
  options.later[15] = 1;
  REFUSED(vlmz_model_open(files->classifier, &options.known, &model));
  CHECK(strstr(vlmz_last_error(), "later version") != NULL);
  options.later[15] = 0;
  OK(vlmz_model_open(files->classifier, &options.known, &model));
  OK(vlmz_model_free(model));
  // As it was before memory could be limited; what stands behind it is not looked at.
  options.known.size = offsetof(vlmz_model_options, memory_bytes);
  options.known.memory_bytes = 1;
  OK(vlmz_model_open(files->classifier, &options.known, &model));
  OK(vlmz_model_free(model));
  options.known.size = sizeof options.known;
  REFUSED(vlmz_model_open(files->classifier, &options.known, &model));
  CHECK(strstr(vlmz_last_error(), "memory") != NULL);
  options.known.memory_bytes = 16 << 20;
  OK(vlmz_model_open(files->classifier, &options.known, &model));
  OK(vlmz_model_free(model));
  vlmz_image_options image_options = VLMZ_IMAGE_OPTIONS_INIT;
  vlmz_image *image;
  image_options.size = 1;
  REFUSED(vlmz_image_from_file(files->horse, &image_options, &image));
  vlmz_session_options session_options = VLMZ_SESSION_OPTIONS_INIT;
  vlmz_session *session;
  session_options.size = 1;
  REFUSED(vlmz_session_create(good->classifier, &session_options, &session));
  vlmz_encoding_options encoding = VLMZ_ENCODING_OPTIONS_INIT;
  vlmz_picture *picture;
  encoding.size = 1;
  REFUSED(vlmz_session_encode(good->session, good->image, &encoding, &picture));
  vlmz_conversation_options conversation_options = VLMZ_CONVERSATION_OPTIONS_INIT;
  vlmz_conversation *conversation;
  conversation_options.size = 1;
  REFUSED(vlmz_conversation_create(good->stories, &conversation_options, &conversation));
  vlmz_answer_options how = VLMZ_ANSWER_OPTIONS_INIT;
  how.size = 1;
  REFUSED(vlmz_conversation_ask(good->conversation, "?", NULL, 0, &how, NULL, NULL, NULL));
  vlmz_pixels pixels = VLMZ_PIXELS_INIT;
  pixels.size = 1;
  REFUSED(vlmz_image_from_pixels(&pixels, NULL, &image));
}

static void never(void *user) {
  (void)user;
  CHECK(!"pixels that were refused are not released");
}

static void test_ranges(const handles *good, const files *files) {
  static const unsigned char memory[300] = {0};
  static const struct {
    uint32_t width, height;
    size_t row;
    int32_t format;
  } wrong[] = {
      {0, 10, 0, VLMZ_RGB8},          {10, 0, 0, VLMZ_RGB8},      {10, 10, 29, VLMZ_RGB8},
      {10, 10, SIZE_MAX, VLMZ_RGB8},  {10, 10, 0, 0},             {10, 10, 0, 6},
      {10, 10, 0, INT32_MIN},         {UINT32_MAX, 1, 0, VLMZ_RGB8}, {1, UINT32_MAX, 0, VLMZ_RGB8},
      {10, 10, 39, VLMZ_BGRA8},
  };
  vlmz_image *image;
  for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index += 1) {
    vlmz_pixels pixels = VLMZ_PIXELS_INIT;
    pixels.data = memory;
    pixels.width = wrong[index].width;
    pixels.height = wrong[index].height;
    pixels.bytes_per_row = wrong[index].row;
    pixels.format = wrong[index].format;
    pixels.release = never;
    REFUSED(vlmz_image_from_pixels(&pixels, NULL, &image));
    CHECK(image == NULL);
    if (pixels.bytes_per_row == SIZE_MAX) {
      CHECK(strstr(vlmz_last_error(), "found 18446744073709551615") != NULL);
    }
  }
  vlmz_pixels pixels = VLMZ_PIXELS_INIT;
  pixels.width = pixels.height = 10;
  pixels.format = VLMZ_RGB8;
  pixels.release = never;
  REFUSED(vlmz_image_from_pixels(&pixels, NULL, &image));
  pixels.data = memory;
  vlmz_image_options image_options = VLMZ_IMAGE_OPTIONS_INIT;
  image_options.maximum_pixels = 99;
  EXPECT(VLMZ_BAD_DATA, vlmz_image_from_pixels(&pixels, &image_options, &image));
  EXPECT(VLMZ_BAD_DATA, vlmz_image_from_file(files->horse, &image_options, &image));
  image_options.maximum_pixels = UINT64_MAX;
  image_options.background = UINT32_MAX;
  REFUSED(vlmz_image_from_file(files->horse, &image_options, &image));

  vlmz_model_options options = VLMZ_MODEL_OPTIONS_INIT;
  vlmz_model *model;
  options.threads = -1;
  REFUSED(vlmz_model_open(files->classifier, &options, &model));
  options.threads = 1025;
  REFUSED(vlmz_model_open(files->classifier, &options, &model));
  options.threads = 1;
  options.instruction_set = "abacus";
  EXPECT(VLMZ_UNSUPPORTED, vlmz_model_open(files->classifier, &options, &model));
  options.instruction_set = "\xff";
  REFUSED(vlmz_model_open(files->classifier, &options, &model));
  vlmz_session_options session_options = VLMZ_SESSION_OPTIONS_INIT;
  vlmz_session *session;
  session_options.threads = -1;
  REFUSED(vlmz_session_create(good->classifier, &session_options, &session));

  vlmz_conversation_options frame = VLMZ_CONVERSATION_OPTIONS_INIT;
  vlmz_conversation *conversation;
  frame.chat_template = "no such template";
  REFUSED(vlmz_conversation_create(good->stories, &frame, &conversation));
  frame.chat_template = NULL;
  frame.key_values = "q3";
  REFUSED(vlmz_conversation_create(good->stories, &frame, &conversation));
  CHECK(strstr(vlmz_last_error(), "found 'q3'") != NULL);
  frame.key_values = NULL;
  frame.context_length = -5;
  REFUSED(vlmz_conversation_create(good->stories, &frame, &conversation));
  frame.context_length = 0;
  frame.threads = 5000;
  REFUSED(vlmz_conversation_create(good->stories, &frame, &conversation));

  for (int number = 0; number < 9; number += 1) {
    vlmz_answer_options how = VLMZ_ANSWER_OPTIONS_INIT;
    if (number == 0) how.temperature = 101;
    if (number == 1) how.temperature = NAN;
    if (number == 2) how.top_p = 1.5;
    if (number == 3) how.top_p = NAN;
    if (number == 4) how.min_p = INFINITY;
    if (number == 5) how.repeat_penalty = 0;
    if (number == 6) how.repeat_penalty = NAN;
    if (number == 7) how.maximum_tokens = -1;
    if (number == 8) how.stop_count = 1;
    REFUSED(vlmz_conversation_ask(good->conversation, "?", NULL, 0, &how, NULL, NULL, NULL));
  }
}

// What models cannot do, and files that are none.
static void test_kinds(const handles *good, const files *files, const char *folder) {
  vlmz_candidate *candidates;
  float *values;
  size_t count;
  const char *label = "cat";
  vlmz_text_classes *classes;
  vlmz_picture *picture;
  vlmz_conversation *conversation;
  vlmz_model *model;
  vlmz_image *image;
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_session_embed_text(good->session, "cat", &values, &count));
  EXPECT(
      VLMZ_NOT_CAPABLE,
      vlmz_session_make_text_classes(good->session, &label, 1, NULL, 0, &classes));
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_session_encode(good->session, good->image, NULL, &picture));
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_conversation_create(good->classifier, NULL, &conversation));
  EXPECT(
      VLMZ_NOT_CAPABLE,
      vlmz_session_classify(good->blind, good->image, 1, &candidates, &count));
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_session_embed_image(good->blind, good->image, &values, &count));
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_session_encode(good->blind, good->image, NULL, &picture));
  EXPECT(VLMZ_NOT_FOUND, vlmz_model_open("/no/such/file.vlmz", NULL, &model));
  CHECK(strstr(vlmz_last_error(), "/no/such/file.vlmz") != NULL);
  // Nobody's key, and a model without a signature.
  const char *keys[] = {"RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL};
  EXPECT(VLMZ_NOT_TRUSTED, vlmz_model_open_signed(files->classifier, keys, 1, NULL, &model));
  CHECK(model == NULL && strstr(vlmz_last_error(), "is not signed") != NULL);
  REFUSED(vlmz_model_open_signed(files->classifier, keys, 0, NULL, &model));
  REFUSED(vlmz_model_open_signed(files->classifier, keys, 2, NULL, &model));
  REFUSED(vlmz_model_open_signed(files->classifier, NULL, 1, NULL, &model));
  keys[0] = "/no/such/key.pub";
  EXPECT(VLMZ_NOT_FOUND, vlmz_model_open_signed(files->classifier, keys, 1, NULL, &model));
  EXPECT(VLMZ_NOT_FOUND, vlmz_image_from_file("/no/such/file.png", NULL, &image));
  EXPECT(VLMZ_BAD_DATA, vlmz_model_open(files->horse, NULL, &model));
  EXPECT(VLMZ_BAD_DATA, vlmz_image_from_file(files->classifier, NULL, &image));
  EXPECT(VLMZ_BAD_DATA, vlmz_image_from_bytes("", 0, NULL, &image));
  EXPECT(VLMZ_BAD_DATA, vlmz_image_from_bytes("no picture", 10, NULL, &image));
  vlmz_status status = vlmz_model_open(folder, NULL, &model);
  CHECK(status != VLMZ_OK && model == NULL);

  // A picture, and classes, of another model.
  vlmz_model *llava = open_model(files->llava);
  vlmz_model *twin = open_model(files->llava);
  vlmz_session *session;
  OK(vlmz_session_create(llava, NULL, &session));
  vlmz_image *cup = open_image(files->cup);
  OK(vlmz_session_encode(session, cup, NULL, &picture));
  vlmz_answer *answer;
  EXPECT(
      VLMZ_INVALID_ARGUMENT,
      vlmz_conversation_ask(good->conversation, "?", &picture, 1, NULL, NULL, NULL, &answer));
  OK(vlmz_conversation_create(twin, NULL, &conversation));
  REFUSED(vlmz_conversation_ask(conversation, "?", &picture, 1, NULL, NULL, NULL, &answer));
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_conversation_create(llava, NULL, &conversation));
  REFUSED(vlmz_conversation_ask(
      conversation, "<image> <image> ?", &picture, 1, NULL, NULL, NULL, &answer));
  CHECK(answer == NULL);
  // What went wrong left the conversation as it was.
  OK(vlmz_conversation_ask(
      conversation, "What is in the picture?", &picture, 1, NULL, NULL, NULL, &answer));
  CHECK(strcmp(answer->text, "A cup of coffee on a table.") == 0);
  vlmz_free(answer);
  vlmz_encoding_options encoding = VLMZ_ENCODING_OPTIONS_INIT;
  vlmz_picture *none;
  encoding.resolution = 16385;
  REFUSED(vlmz_session_encode(session, cup, &encoding, &none));
  encoding.resolution = -1;
  REFUSED(vlmz_session_encode(session, cup, &encoding, &none));
  OK(vlmz_picture_free(picture));
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(cup));
  OK(vlmz_model_free(llava));
  OK(vlmz_model_free(twin));
}

// Damaged models, each cut or with a byte changed: a status, or a model that describes itself.
static void test_damage(const files *files, const char *folder) {
  char path[4200];
  size_t count;
  unsigned char *bytes = read_file(files->stories, &count);
  CHECK((size_t)snprintf(path, sizeof path, "%s/damaged.vlmz", folder) < sizeof path);
  size_t places[] = {0, 8, 12, 100, 200, 1000, 5000, count / 2, count - 1};
  int refused = 0;
  for (size_t index = 0; index < sizeof places / sizeof *places; index += 1) {
    for (int cut = 0; cut < 2; cut += 1) {
      size_t place = places[index];
      unlink(path);
      FILE *file = fopen(path, "wb");
      CHECK(file != NULL);
      bytes[place] ^= 0x55;
      size_t length = cut ? place : count;
      CHECK(fwrite(bytes, 1, length, file) == length);
      CHECK(fclose(file) == 0);
      bytes[place] ^= 0x55;
      vlmz_model *model;
      vlmz_status status = vlmz_model_open(path, NULL, &model);
      if (status == VLMZ_OK) {
        char *json = NULL;
        status = vlmz_model_describe(model, &json);
        CHECK((status == VLMZ_OK) == (json != NULL));
        vlmz_free(json);
        OK(vlmz_model_free(model));
      } else {
        CHECK(status == VLMZ_BAD_DATA && model == NULL);
        CHECK(strstr(vlmz_last_error(), "damaged.vlmz") != NULL);
        refused += 1;
      }
    }
  }
  CHECK(refused > 9);
  unlink(path);
  free(bytes);
}

void test_misuse(const files *files) {
  handles good;
  char folder[4096];
  strcpy(folder, files->classifier);
  *strrchr(folder, '/') = '\0';
  good.classifier = open_model(files->classifier);
  good.stories = open_model(files->stories);
  good.image = open_image(files->horse);
  OK(vlmz_session_create(good.classifier, NULL, &good.session));
  OK(vlmz_session_create(good.stories, NULL, &good.blind));
  OK(vlmz_conversation_create(good.stories, NULL, &good.conversation));
  OK(vlmz_session_create(good.classifier, NULL, &good.freed));
  OK(vlmz_session_free(good.freed));
  test_handles(&good);
  test_null(&good);
  test_sizes(&good, files);
  test_ranges(&good, files);
  test_kinds(&good, files, folder);
  test_damage(files, folder);
  OK(vlmz_conversation_free(good.conversation));
  OK(vlmz_session_free(good.blind));
  OK(vlmz_session_free(good.session));
  OK(vlmz_image_free(good.image));
  OK(vlmz_model_free(good.stories));
  OK(vlmz_model_free(good.classifier));
}
