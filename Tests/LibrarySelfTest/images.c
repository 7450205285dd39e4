// Several images in one call, and what a model makes of an image on the way.

#include <math.h>

#include "check.h"

// Each image of a call has the bits that it has alone, whatever the sizes of its neighbours.
static void test_several(const files *files) {
  vlmz_model *model = open_model(files->classifier);
  vlmz_image *horse = open_image(files->horse), *cup = open_image(files->cup);
  vlmz_image *images[] = {horse, cup, horse, horse};
  enum { many = sizeof images / sizeof *images };
  vlmz_session *session;
  OK(vlmz_session_create(model, NULL, &session));
  vlmz_candidate *candidates, *alone;
  size_t count, alone_count;
  OK(vlmz_session_classify_images(session, images, many, 3, &candidates, &count));
  CHECK(count == 3);
  for (size_t image = 0; image < many; image += 1) {
    OK(vlmz_session_classify(session, images[image], 3, &alone, &alone_count));
    CHECK(alone_count == count);
    for (size_t place = 0; place < count; place += 1) {
      const vlmz_candidate *found = candidates + image * count + place;
      CHECK(found->score == alone[place].score && found->index == alone[place].index);
      CHECK(strcmp(found->label, alone[place].label) == 0);
    }
    vlmz_free(alone);
  }
  vlmz_free(candidates);
  OK(vlmz_session_classify_images(session, images, many, SIZE_MAX, &candidates, &count));
  CHECK(count == 10);
  vlmz_free(candidates);

  float *rows, *row;
  OK(vlmz_session_embed_images(session, images, many, &rows, &count));
  for (size_t image = 0; image < many; image += 1) {
    OK(vlmz_session_embed_image(session, images[image], &row, &alone_count));
    CHECK(alone_count == count);
    CHECK(memcmp(rows + image * count, row, count * sizeof *row) == 0);
    vlmz_free(row);
  }
  vlmz_free(rows);

  // None, one that is no image, one that cannot be decoded.
  REFUSED(vlmz_session_embed_images(session, images, 0, &rows, &count));
  REFUSED(vlmz_session_embed_images(session, NULL, 2, &rows, &count));
  REFUSED(vlmz_session_embed_images(session, images, SIZE_MAX, &rows, &count));
  REFUSED(vlmz_session_embed_images(session, images, many, NULL, &count));
  REFUSED(vlmz_session_classify_images(session, images, many, 0, &candidates, &count));
  CHECK(candidates == NULL && count == 0);
  images[1] = (vlmz_image *)session;
  REFUSED(vlmz_session_embed_images(session, images, many, &rows, &count));
  CHECK(rows == NULL && count == 0);
  size_t bytes;
  unsigned char *file = read_file(files->horse, &bytes);
  OK(vlmz_image_from_bytes(file, bytes / 2, NULL, &images[1]));
  free(file);
  EXPECT(VLMZ_BAD_DATA, vlmz_session_embed_images(session, images, many, &rows, &count));
  CHECK(rows == NULL && count == 0);
  OK(vlmz_image_free(images[1]));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(horse));
  OK(vlmz_image_free(cup));
  OK(vlmz_model_free(model));
}

static void test_several_by_text(const files *files) {
  static const char *const labels[] = {"cat", "dog", "horse"};
  vlmz_model *model = open_model(files->joint);
  vlmz_image *images[] = {open_image(files->cup), open_image(files->horse)};
  vlmz_session *session;
  vlmz_text_classes *classes;
  vlmz_candidate *candidates, *alone;
  size_t count, alone_count;
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_make_text_classes(session, labels, 3, NULL, 0, &classes));
  OK(vlmz_session_classify_images_by_text(session, images, 2, classes, 2, &candidates, &count));
  CHECK(count == 2);
  for (size_t image = 0; image < 2; image += 1) {
    OK(vlmz_session_classify_by_text(session, images[image], classes, 2, &alone, &alone_count));
    for (size_t place = 0; place < count; place += 1) {
      CHECK(candidates[image * count + place].score == alone[place].score);
      CHECK(strcmp(candidates[image * count + place].label, alone[place].label) == 0);
    }
    vlmz_free(alone);
  }
  vlmz_free(candidates);
  REFUSED(vlmz_session_classify_images_by_text(session, images, 2, NULL, 2, &candidates, &count));
  CHECK(candidates == NULL);
  OK(vlmz_text_classes_free(classes));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(images[0]));
  OK(vlmz_image_free(images[1]));
  OK(vlmz_model_free(model));
}

// Values behind a feature: the product of its extents.
static size_t extent(const vlmz_feature *feature) {
  CHECK(feature->rank >= 2 && feature->rank <= 4);
  size_t product = 1;
  for (size_t axis = 0; axis < 4; axis += 1) {
    CHECK(axis < feature->rank || feature->shape[axis] == 1);
    product *= feature->shape[axis];
  }
  return product;
}

static void test_features(const files *files) {
  static const char *const wanted[] = {"embedding", "stage1"};
  static const char *const unknown[] = {"stage1", "stage99"};
  vlmz_model *model = open_model(files->classifier);
  vlmz_image *image = open_image(files->horse);
  vlmz_session *session;
  vlmz_feature *features, *some;
  float *embedding;
  size_t count, some_count, width;
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_features(session, image, NULL, 0, &features, &count));
  CHECK(count > 5);
  CHECK(strcmp(features[0].name, "pixel_values") == 0);
  CHECK(features[0].rank == 4 && features[0].shape[0] == 1 && features[0].shape[1] == 3);
  const vlmz_feature *last = features + count - 1;
  CHECK(strcmp(last->name, "embedding") == 0 && last->rank == 2);
  OK(vlmz_session_embed_image(session, image, &embedding, &width));
  CHECK(extent(last) == width);
  CHECK(memcmp(last->values, embedding, width * sizeof *embedding) == 0);
  vlmz_free(embedding);

  // In the order of the model, not of the list.
  OK(vlmz_session_features(session, image, wanted, 2, &some, &some_count));
  CHECK(some_count == 2);
  CHECK(strcmp(some[0].name, "stage1") == 0 && strcmp(some[1].name, "embedding") == 0);
  for (size_t index = 0; index < count; index += 1) {
    size_t values = extent(features + index);
    for (size_t value = 0; value < values; value += 1) {
      CHECK(isfinite(features[index].values[value]));
    }
    if (strcmp(features[index].name, "stage1") != 0) continue;
    CHECK(extent(some) == values);
    CHECK(memcmp(some->values, features[index].values, values * sizeof *some->values) == 0);
  }
  vlmz_free(some);
  vlmz_free(features);

  REFUSED(vlmz_session_features(session, image, unknown, 2, &features, &count));
  CHECK(features == NULL && count == 0);
  CHECK(strstr(vlmz_last_error(), "stage99") != NULL);
  CHECK(strstr(vlmz_last_error(), "stage3") != NULL);
  REFUSED(vlmz_session_features(session, image, NULL, 1, &features, &count));
  REFUSED(vlmz_session_features(session, image, NULL, 0, NULL, &count));
  REFUSED(vlmz_session_features(session, NULL, NULL, 0, &features, &count));
  OK(vlmz_session_free(session));
  OK(vlmz_model_free(model));
  model = open_model(files->stories);
  OK(vlmz_session_create(model, NULL, &session));
  EXPECT(VLMZ_NOT_CAPABLE, vlmz_session_features(session, image, NULL, 0, &features, &count));
  OK(vlmz_session_free(session));
  OK(vlmz_model_free(model));
  OK(vlmz_image_free(image));

  // What the language model sees.
  static const char *const projector[] = {"projector"};
  model = open_model(files->llava);
  image = open_image(files->cup);
  vlmz_picture *picture;
  size_t tokens;
  OK(vlmz_session_create(model, NULL, &session));
  OK(vlmz_session_encode(session, image, NULL, &picture));
  OK(vlmz_picture_get_token_count(picture, &tokens));
  OK(vlmz_session_features(session, image, projector, 1, &features, &count));
  CHECK(count == 1 && features->rank == 3 && features->shape[1] == tokens);
  vlmz_free(features);
  OK(vlmz_picture_free(picture));
  OK(vlmz_session_free(session));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));
}

void test_many_images(const files *files) {
  test_several(files);
  test_several_by_text(files);
  test_features(files);
}
