// Checkpoints become models.

#include <unistd.h>
#include <vlmz_convert.h>

#include "check.h"

typedef struct seen {
  uint64_t bytes;
  int calls;
  // Calls after which it is enough; 0 for never.
  int patience;
} seen;

static int see(const vlmz_conversion_progress *progress, void *user) {
  seen *seen = user;
  CHECK(progress->bytes >= seen->bytes && progress->bytes <= progress->total_bytes);
  CHECK(progress->tensor != NULL);
  CHECK(progress->calibrated >= 0 && progress->calibrated <= 1);
  seen->bytes = progress->bytes;
  seen->calls += 1;
  return seen->patience != 0 && seen->calls >= seen->patience;
}

static void test_options(const files *files, const char *output) {
  static const char *const schemes[] = {"*=f16", "head.*=f32"};
  vlmz_conversion_options options = VLMZ_CONVERSION_OPTIONS_INIT;
  options.scheme = "q4";
  options.overwrites = 1;
  options.threads = 1;
  OK(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  // It is the model that vlm-convert makes.
  size_t count, wanted_count;
  unsigned char *bytes = read_file(output, &count), *wanted = read_file(files->classifier, &wanted_count);
  CHECK(count == wanted_count && memcmp(bytes, wanted, count) == 0);
  free(bytes);
  free(wanted);
  options.tensor_schemes = schemes;
  options.tensor_scheme_count = 2;
  OK(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  vlmz_model *model = open_model(output);
  char *json;
  OK(vlmz_model_describe(model, &json));
  CHECK(strstr(json, "\"f16\"") != NULL && strstr(json, "\"q4\"") == NULL);
  vlmz_free(json);
  OK(vlmz_model_free(model));

  const char *data[] = {files->horse};
  vlmz_conversion_options calibrated = VLMZ_CONVERSION_OPTIONS_INIT;
  calibrated.calibration = data;
  calibrated.calibration_count = 1;
  calibrated.calibration_tokens = 256;
  calibrated.bits_per_weight = 7;
  calibrated.overwrites = 1;
  char *report;
  OK(vlmz_convert(files->checkpoint, output, &calibrated, NULL, NULL, &report));
  CHECK(strstr(report, "bits_per_weight") != NULL);
  vlmz_free(report);
}

static void test_refusals(const files *files, const char *output) {
  char *report = (char *)files;
  vlmz_conversion_options options = VLMZ_CONVERSION_OPTIONS_INIT;
  REFUSED(vlmz_convert(NULL, output, NULL, NULL, NULL, &report));
  CHECK(report == NULL);
  REFUSED(vlmz_convert(files->checkpoint, NULL, NULL, NULL, NULL, NULL));
  EXPECT(VLMZ_CANNOT_CREATE, vlmz_convert(files->checkpoint, output, NULL, NULL, NULL, NULL));
  EXPECT(VLMZ_NOT_FOUND, vlmz_convert("/no/such/file", output, NULL, NULL, NULL, NULL));
  CHECK(strstr(vlmz_last_error(), "/no/such/file") != NULL);
  options.overwrites = 1;
  EXPECT(VLMZ_BAD_DATA, vlmz_convert(files->horse, output, &options, NULL, NULL, NULL));
  options.scheme = "q99";
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  CHECK(strstr(vlmz_last_error(), "q99") != NULL);
  options.scheme = NULL;
  static const char *const wrong[] = {"head.*"}, *const unknown[] = {"head.*=q99"};
  options.tensor_scheme_count = 1;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  options.tensor_schemes = wrong;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  options.tensor_schemes = unknown;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  options.tensor_scheme_count = 0;
  options.bits_per_weight = 99;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  options.bits_per_weight = 0;
  options.calibrates_on_own_data = 1;
  options.calibration_tokens = 1;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
  options.size = 1;
  REFUSED(vlmz_convert(files->checkpoint, output, &options, NULL, NULL, NULL));
}

typedef struct steps {
  int calls;
  int patience;
} steps;

static int step(const vlmz_evaluation_progress *progress, void *user) {
  steps *steps = user;
  CHECK(progress->stage != NULL && progress->done <= progress->total);
  steps->calls += 1;
  return steps->patience != 0 && steps->calls >= steps->patience;
}

// What the model lost, and what it is refused for.
static void test_evaluation(const files *files, const char *model) {
  const char *data[] = {files->horse};
  vlmz_evaluation_options options = VLMZ_EVALUATION_OPTIONS_INIT;
  options.reference = files->checkpoint;
  options.threads = 1;
  char *report = (char *)files;
  steps steps = {0, 0};
  OK(vlmz_evaluate(model, data, 1, &options, step, &steps, &report));
  CHECK(steps.calls > 0 && report[0] == '{' && strstr(report, "\"loss\"") != NULL);
  CHECK(strstr(report, "\"pictures\":1") != NULL);
  vlmz_free(report);
  steps.calls = 0;
  steps.patience = 1;
  EXPECT(VLMZ_CANCELLED, vlmz_evaluate(model, data, 1, &options, step, &steps, &report));
  CHECK(report == NULL);
  OK(vlmz_evaluate(model, data, 1, NULL, NULL, NULL, &report));
  CHECK(strstr(report, "\"loss\":null") != NULL);
  vlmz_free(report);
  REFUSED(vlmz_evaluate(model, NULL, 0, NULL, NULL, NULL, &report));
  REFUSED(vlmz_evaluate(model, NULL, 1, NULL, NULL, NULL, &report));
  REFUSED(vlmz_evaluate(model, data, 1, NULL, NULL, NULL, NULL));
  EXPECT(VLMZ_NOT_FOUND, vlmz_evaluate("/no/such/file", data, 1, NULL, NULL, NULL, &report));
  options.tokens = -5;
  REFUSED(vlmz_evaluate(model, data, 1, &options, NULL, NULL, &report));
}

void test_conversion(const files *files) {
  char output[4200];
  CHECK((size_t)snprintf(output, sizeof output, "%s.vlmz", files->checkpoint) < sizeof output);
  unlink(output);
  // Cancelled at once and half-way, it leaves nothing.
  seen seen = {0, 0, 1};
  char *report = (char *)files;
  EXPECT(
      VLMZ_CANCELLED, vlmz_convert(files->checkpoint, output, NULL, see, &seen, &report));
  CHECK(report == NULL && seen.calls == 1 && access(output, F_OK) != 0);
  seen.bytes = 0;
  seen.calls = 0;
  seen.patience = 3;
  EXPECT(VLMZ_CANCELLED, vlmz_convert(files->checkpoint, output, NULL, see, &seen, &report));
  CHECK(access(output, F_OK) != 0);

  seen.bytes = 0;
  seen.patience = 0;
  OK(vlmz_convert(files->checkpoint, output, NULL, see, &seen, &report));
  CHECK(seen.bytes > 0 && seen.calls > 3);
  CHECK(report[0] == '{' && strstr(report, "\"notes\"") != NULL);
  CHECK(strstr(report, "\"q8\"") != NULL);
  vlmz_free(report);
  vlmz_model *model = open_model(output);
  OK(vlmz_model_free(model));
  test_evaluation(files, output);
  test_refusals(files, output);
  test_options(files, output);
  unlink(output);
}
