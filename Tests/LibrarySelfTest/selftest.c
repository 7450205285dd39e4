// Tests of the C library, as a program in C would use it.
//
//   selftest FOLDER [--isa NAME] [--short] PART…
//
// FOLDER has the models and pictures that scripts/test-library puts there. The part "write" writes
// what the commands are compared with: embedding.f32 and answer.txt.

#include "check.h"

const char *instruction_set = NULL;
int is_short = 0;

vlmz_model *open_model(const char *path) {
  vlmz_model_options options = VLMZ_MODEL_OPTIONS_INIT;
  vlmz_model *model;
  options.instruction_set = instruction_set;
  options.threads = 2;
  OK(vlmz_model_open(path, &options, &model));
  return model;
}

vlmz_image *open_image(const char *path) {
  vlmz_image *image;
  OK(vlmz_image_from_file(path, NULL, &image));
  return image;
}

unsigned char *read_file(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  CHECK(fseek(file, 0, SEEK_END) == 0);
  long size = ftell(file);
  CHECK(size > 0);
  rewind(file);
  unsigned char *bytes = malloc((size_t)size);
  CHECK(bytes != NULL);
  CHECK(fread(bytes, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
  *count = (size_t)size;
  return bytes;
}

static const struct {
  const char *name;
  void (*run)(const files *files);
} parts[] = {
    {"results", test_results},           {"misuse", test_misuse},
    {"threads", test_threads},           {"cancellation", test_cancellation},
    {"growth", test_growth},             {"write", write_results},
    {"images", test_many_images},        {"conversion", test_conversion},
    {"films", test_films},
};

static void name(char *path, const char *folder, const char *file) {
  CHECK((size_t)snprintf(path, 4096, "%s/%s", folder, file) < 4096);
}

int main(int argc, char **argv) {
  files files;
  if (argc < 3) {
    fprintf(stderr, "usage: selftest FOLDER [--isa NAME] [--short] PART...\n");
    return 64;
  }
  name(files.classifier, argv[1], "classifier.vlmz");
  name(files.packed, argv[1], "classifier.vlmzp");
  name(files.cache, argv[1], "cache");
  name(files.joint, argv[1], "joint.vlmz");
  name(files.llava, argv[1], "llava.vlmz");
  name(files.stories, argv[1], "stories.vlmz");
  name(files.smolvlm, argv[1], "smolvlm.vlmz");
  name(files.folder, argv[1], "");
  name(files.horse, argv[1], "horse.png");
  name(files.cup, argv[1], "cup.png");
  name(files.embedding, argv[1], "embedding.f32");
  name(files.answer, argv[1], "answer.txt");
  name(files.checkpoint, argv[1], "checkpoint");
  for (int index = 2; index < argc; index += 1) {
    if (strcmp(argv[index], "--isa") == 0 && index + 1 < argc) {
      instruction_set = argv[index += 1];
      continue;
    }
    if (strcmp(argv[index], "--short") == 0) {
      is_short = 1;
      continue;
    }
    size_t part = 0;
    size_t count = sizeof parts / sizeof *parts;
    while (part < count && strcmp(parts[part].name, argv[index]) != 0) part += 1;
    CHECK(part < count);
    parts[part].run(&files);
    printf("%s: passed\n", parts[part].name);
  }
  return 0;
}
