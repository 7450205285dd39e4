// The conversion of checkpoints to .vlmz files, and its evaluation. What vlmz.h says of statuses, pointers, results,
// options and threads holds here too.

#ifndef VLMZ_CONVERT_H
#define VLMZ_CONVERT_H

#include "vlmz.h"

#ifdef __cplusplus
extern "C" {
#endif

// How a checkpoint is converted; what is NULL or 0 is left to the checkpoint. docs/conversion.md
// says more of each: they are the options of vlm-convert.
typedef struct vlmz_conversion_options {
  size_t size;
  // How matrices are stored: "f32", "f16", "bf16", "q8", "q6", "q5", "q4" or "q3"; NULL for "q8".
  const char *scheme;
  // Other schemes for some tensors, as "PATTERN=SCHEME", such as "head.*=f16": tensor_scheme_count
  // of them. Of several that match the last counts.
  const char *const *tensor_schemes;
  size_t tensor_scheme_count;
  // Files and folders that the model is run on first, so that weights are rounded where it costs
  // least: calibration_count pictures, texts, conversations in JSON Lines.
  const char *const *calibration;
  size_t calibration_count;
  // Not 0: calibrates on data of the model's own where calibration lacks a kind.
  int32_t calibrates_on_own_data;
  // Tokens that a language model is calibrated on, 256 or more; an image model sees a picture for
  // every 64. 0 for 8192.
  int32_t calibration_tokens;
  // Where statistics of the calibration are kept. A file that is there is used instead of data.
  const char *statistics;
  // Stored bits per parameter that the file may take, 1 to 32: each matrix gets the scheme that the
  // model loses least by. 0 for the scheme above.
  double bits_per_weight;
  // Names of the classes: a line each, a JSON list, {index: name} or {name: index}.
  const char *labels;
  // A preprocessor_config.json or config.json that says how images are prepared.
  const char *preprocessor;
  // The part of a PyTorch file that is the model.
  const char *state;
  // Folders of parts that the checkpoint lacks: a LLaVA's vision tower, LLaVA-HR's ConvNeXt, the
  // language model of a projector; the vision half of a LLaVA in GGUF.
  const char *vision_tower;
  const char *vision_tower_slow;
  const char *model_base;
  const char *mmproj;
  // Not 0: leaves out tensors that the model does not have. Otherwise they are VLMZ_BAD_DATA.
  int32_t ignores_unexpected;
  // Not 0: replaces a file at the output's path. Otherwise its presence is VLMZ_CANNOT_CREATE.
  int32_t overwrites;
  // Not 0: goes on with a conversion that was broken off, and leaves this one to go on with.
  int32_t resumes;
  // Threads that compute, 1 to 1024; 0 for as many processors as this process may use.
  int32_t threads;
  // What follows is since version 3. Of scheme, bits_per_weight, maximum_bytes, maximum_loss and plan
  // at most one may be given.
  //
  // Bytes that the file may have. 0 for no such budget.
  uint64_t maximum_bytes;
  // What the model may lose, above 0: divergence in nats of one that writes or names classes, else one
  // less the cosine of embeddings. 0 for no such budget.
  double maximum_loss;
  // A file whose mixture of schemes is taken: the JSON of a report, or a .vlmz.
  const char *plan;
  // How much work a calibration is: "fast", "normal" or "best"; NULL for "normal".
  const char *effort;
  // What a classifier's outputs are: "softmax", "sigmoid" or "raw"; NULL for what the checkpoint says.
  const char *scores;
  // What lies between the linear layers of a head, where the file does not say.
  const char *head_activation;
  // Not 0: reads a PyTorch file in spite of wrong checksums.
  int32_t accepts_wrong_checksums;
} vlmz_conversion_options;

#define VLMZ_CONVERSION_OPTIONS_INIT                                                         \
  { sizeof(vlmz_conversion_options), NULL, NULL, 0, NULL, 0, 0, 0, NULL, 0, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0 }

// How far a conversion is. Members may be added at the end.
typedef struct vlmz_conversion_progress {
  // Bytes of the checkpoint that are converted, and in all.
  uint64_t bytes;
  uint64_t total_bytes;
  // How much of the calibration is done, 0 to 1; 1 where there is none.
  double calibrated;
  // The container's name of the tensor at hand; "" during calibration.
  const char *tensor;
} vlmz_conversion_progress;

// Sees how far a conversion is, on the thread that asked for it. What it points at is valid until
// the callback returns. Returns 0 to go on; anything else cancels the conversion. It must return: no
// exception, no longjmp.
typedef int (*vlmz_conversion_callback)(const vlmz_conversion_progress *progress, void *user);

// Converts a checkpoint to a .vlmz file, which appears at its path when it is complete.
//
//   checkpoint  a .safetensors, PyTorch, GGUF or .vlmz file, or a folder as timm or Hugging Face
//               saves it; any bytes, ended by zero.
//   output      the name of the file to write; its folder must be there.
//   options     or NULL.
//   callback    sees the progress; or NULL.
//   user        is given to callback.
//   report      where a JSON object goes that says what was written, as vlm-convert --json prints
//               it, with "notes", what a person should know, one line each; one string for
//               vlmz_free(). Or NULL.
//
// Errors: VLMZ_NOT_FOUND, VLMZ_NO_PERMISSION, VLMZ_IO; VLMZ_BAD_DATA for a checkpoint that is
// damaged, lacks tensors or is of no model known here; VLMZ_CANNOT_CREATE for an output that exists,
// that is a checkpoint or cannot be made; VLMZ_INVALID_ARGUMENT for options that do not fit the
// checkpoint; VLMZ_NO_MEMORY, VLMZ_BUSY, VLMZ_CANCELLED. After a failure nothing is left, but with
// resumes what a later conversion goes on with. Thread-safe. Since version 2.
VLMZ_API vlmz_status vlmz_convert(
    const char *checkpoint, const char *output, const vlmz_conversion_options *options,
    vlmz_conversion_callback callback, void *user, char **report);

// ---------------------------------------------------------------- evaluation, since version 3

// How a model is judged; docs/cli.md says more of "vlm-convert evaluate".
typedef struct vlmz_evaluation_options {
  size_t size;
  // What the model is compared with, usually as it was before: a .vlmz file or a checkpoint; NULL for
  // what can be said without one.
  const char *reference;
  // Tokens that a language model reads at most; 0 for 8192.
  int32_t tokens;
  // Pictures that an image model sees at most; 0 for all.
  int32_t pictures;
  // Questions with answers in the data that both models answer themselves too; 0 for 16, less for none.
  int32_t answers;
  // Tokens of such an answer at most; 0 for 48.
  int32_t answer_tokens;
  // Where the reference's outputs are kept for the while; NULL for the model's folder.
  const char *temporary_folder;
  // Threads that compute, 1 to 1024; 0 for as many processors as this process may use.
  int32_t threads;
} vlmz_evaluation_options;

#define VLMZ_EVALUATION_OPTIONS_INIT \
  { sizeof(vlmz_evaluation_options), NULL, 0, 0, 0, 0, NULL, 0 }

// How far an evaluation is. Members may be added at the end.
typedef struct vlmz_evaluation_progress {
  // What runs, such as "reference: pictures".
  const char *stage;
  // Steps of the stage that are done, of so many.
  uint64_t done;
  uint64_t total;
} vlmz_evaluation_progress;

// As vlmz_conversion_callback.
typedef int (*vlmz_evaluation_callback)(const vlmz_evaluation_progress *progress, void *user);

// Judges a model on data: accuracy, perplexity, and with a reference what of its classes, embeddings,
// probabilities and answers has changed.
//
//   model     a .vlmz file; any bytes, ended by zero.
//   data      data_count of them, 1 or more: pictures, folders of them, texts, and conversations in
//             JSON Lines. Of pictures in folders that are named as classes it is known whether they
//             are told right.
//   options   or NULL.
//   callback  sees the progress; or NULL.
//   user      is given to callback.
//   report    where a JSON object goes, as "vlm-convert evaluate --json" prints it; one string for
//             vlmz_free().
//
// Errors: VLMZ_NOT_FOUND, VLMZ_NO_PERMISSION, VLMZ_IO; VLMZ_BAD_DATA for files that are damaged, that
// are not of one architecture, or of which nothing can be used; VLMZ_INVALID_ARGUMENT for data of a
// kind that the model does not read; VLMZ_NO_MEMORY, VLMZ_CANCELLED. Thread-safe.
VLMZ_API vlmz_status vlmz_evaluate(
    const char *model, const char *const *data, size_t data_count,
    const vlmz_evaluation_options *options, vlmz_evaluation_callback callback, void *user,
    char **report);

#ifdef __cplusplus
}
#endif

#endif
