// The C interface of vlmz: models in .vlmz files that classify, embed and answer questions about
// pictures; vlmz_film.h has films, and vlmz_convert.h makes such files. C11 or later, or C++.
//
// Status   Functions that can fail return a vlmz_status, 0 for success. After another value
//          vlmz_last_error() has, on the same thread, one line that says what was wrong. On
//          failure every output is cleared: pointers become NULL, numbers 0.
// Pointers An output may be NULL only where its function says so. What an argument points at
//          (options, texts, arrays) is needed only until the function returns, but for pixels.
//          Texts are UTF-8, file names any bytes. An array may be NULL if its count is 0.
// Handles  Models, sessions, conversations, images, pictures and text classes are handles: one
//          function makes each, one frees it. A handle is a number, not an address. One that is
//          NULL, was freed or is of another kind is refused with VLMZ_INVALID_ARGUMENT. Handles may
//          be freed in any order, also while another thread uses them: the object behind a handle
//          is kept until nothing that was made from it remains and no call uses it.
// Results  Strings, arrays and structures that a function gives through a pointer belong to the
//          caller, who gives them back with vlmz_free(), one call for each. Strings are UTF-8 and
//          end with a zero byte.
// Options  Structures of options begin with their size and are made by their VLMZ_…_INIT; later
//          versions may add members at the end. One whose size is too small is refused with
//          VLMZ_INVALID_ARGUMENT. A NULL pointer to options means the defaults.
// Threads  "Thread-safe": any thread, at any time, with the same handles too. "One at a time": one
//          call on the same session or conversation, others meanwhile return VLMZ_BUSY at once;
//          different sessions and conversations of one model may be used at the same time. No
//          function may be called from a signal handler, or in a child after fork().
//
// The library prints nothing, reads no environment variable, installs no signal handler and does
// not end the process. A damaged or hostile file gives a status. A model's file is mapped while it
// is open: replace it by renaming another over it; a process whose mapped file is cut short gets
// SIGBUS.

#ifndef VLMZ_H
#define VLMZ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VLMZ_API __attribute__((visibility("default")))
#else
#define VLMZ_API
#endif

// ---------------------------------------------------------------- versions and errors

// The interface that this header describes; see vlmz_abi_version().
#define VLMZ_ABI_VERSION 5

// The interface that the library has. A program works with a library whose number is that of its
// header or higher; one that it does not work with has another soname. Thread-safe.
VLMZ_API uint32_t vlmz_abi_version(void);

// The library's version, such as "0.2.0". A constant: it is not freed. Thread-safe.
VLMZ_API const char *vlmz_version(void);

// What became of a call. Values may be added.
typedef int32_t vlmz_status;
enum {
  VLMZ_OK = 0,
  // An argument is NULL, out of its range, no such handle, no UTF-8, or made from another model.
  VLMZ_INVALID_ARGUMENT = 1,
  VLMZ_NOT_CAPABLE = 2,  // The model cannot do that; see vlmz_model_capabilities().
  VLMZ_UNSUPPORTED = 3,  // This machine or build lacks an instruction set, a decoder or the like.
  VLMZ_BAD_DATA = 4,  // The file is damaged, or it is not what it should be.
  VLMZ_NOT_FOUND = 5,  // There is no such file, or it is not a regular file.
  VLMZ_NO_PERMISSION = 6,  // The file may not be read.
  VLMZ_CANNOT_CREATE = 7,  // The output exists or cannot be created.
  VLMZ_IO = 8,  // The system failed to read, or the model's file changed while it was in use.
  VLMZ_NO_MEMORY = 9,  // There is less memory, or fewer threads, than the call needs.
  VLMZ_BUSY = 10,  // The session or conversation is in a call, or another process writes the file.
  VLMZ_CANCELLED = 11,  // The call was cancelled before it had a result.
  VLMZ_INTERNAL = 12,  // A fault of the library.
  VLMZ_NOT_TRUSTED = 13  // The file is not signed by a key that is trusted. Since version 2.
};

// The name of a status, such as "VLMZ_BUSY"; "unknown" for a number that is none. A constant: it is
// not freed. Thread-safe.
VLMZ_API const char *vlmz_status_name(vlmz_status status);

// What was wrong with the last call that failed on this thread: one line, UTF-8, control characters
// escaped, at most 2047 bytes; "" before the first. Valid until the next call that fails on this
// thread; it is not freed. Thread-safe.
VLMZ_API const char *vlmz_last_error(void);

// Frees a string, an array or a structure that a function gave through a pointer. A handle is freed
// by the _free() of its kind. Any other pointer, or the same one twice, is undefined behaviour.
// NULL is allowed. Thread-safe.
VLMZ_API void vlmz_free(void *result);

// ---------------------------------------------------------------- models

// An opened .vlmz file. It never changes, and any number of threads may share it.
typedef struct vlmz_model vlmz_model;

typedef struct vlmz_model_options {
  size_t size;
  // An instruction set, such as "scalar" or "avx2"; NULL for the best of this machine. Products of
  // integers are the same on all; norms, activations and attention differ in their last bits, which
  // can change how an activation is rounded to 8 bits. Between sets, scores of a q8 or q4 model may
  // differ by a few percent of themselves; those of an f32 model agree to 6 digits.
  const char *instruction_set;
  // Threads that compute for the model's sessions and conversations, the caller's own included,
  // 1 to 1024; 0 for as many processors as this process may use. Results do not depend on it.
  int32_t threads;
  // Since version 4: bytes that the process may take with the weights, 16 MiB or more; what has no
  // room is read ahead of each use. 0 for as much as the machine and its control groups leave.
  uint64_t memory_bytes;
  // Since version 4: the folder that packed models (.vlmzp) are unpacked into, each once; NULL
  // refuses them. It is made if missing, only the user may write to it, and processes share it.
  const char *cache_folder;
  // Since version 4: bytes that the models in that folder may take together; those that were not
  // opened for longest are removed for another, but none in use. 0 for 16 GB.
  uint64_t cache_bytes;
} vlmz_model_options;

#define VLMZ_MODEL_OPTIONS_INIT { sizeof(vlmz_model_options), NULL, 0, 0, NULL, 0 }

// Opens a file and checks its header, its sections and its index of tensors, with their checksums.
// The weights are mapped, not read: their checksums are not checked.
//
//   path     the file's name, any bytes, ended by zero.
//   options  or NULL.
//   model    where the handle goes.
//
// Errors: VLMZ_NOT_FOUND, VLMZ_NO_PERMISSION, VLMZ_IO; VLMZ_BAD_DATA for a damaged file or one that
// is no .vlmz; VLMZ_UNSUPPORTED for an instruction set that this machine lacks;
// VLMZ_INVALID_ARGUMENT; VLMZ_NO_MEMORY. Thread-safe.
VLMZ_API vlmz_status vlmz_model_open(
    const char *path, const vlmz_model_options *options, vlmz_model **model);

// The same of a file that somebody signed, with minisign or "vlm-convert sign". The signature is the
// file PATH.minisig. Every byte of the model's file is read and hashed, about a second for a
// gigabyte, before anything in it is looked at.
//
//   keys  key_count of them, 1 or more: minisign's public keys, 56 characters of base64, or names
//         of their files. One of them has to have signed.
//
// Errors: also VLMZ_NOT_TRUSTED, for a file that none of the keys signed; VLMZ_BAD_DATA for a key or
// a signature that is none. Thread-safe. Since version 2.
VLMZ_API vlmz_status vlmz_model_open_signed(
    const char *path, const char *const *keys, size_t key_count,
    const vlmz_model_options *options, vlmz_model **model);

// What a model can do: bits of a set. Bits may be added.
enum {
  VLMZ_CLASSIFIES_IMAGES = 1,  // vlmz_session_classify()
  VLMZ_EMBEDS_IMAGES = 2,  // vlmz_session_embed_image()
  VLMZ_EMBEDS_TEXTS = 4,  // vlmz_session_embed_text()
  VLMZ_CLASSIFIES_BY_TEXT = 8,  // vlmz_session_classify_by_text()
  VLMZ_SEES_PICTURES = 16,  // vlmz_session_encode()
  VLMZ_WRITES_TEXT = 32  // vlmz_conversation_create()
};

// Gives what the model can do. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_model_capabilities(vlmz_model *model, uint32_t *capabilities);

// Describes the model as a JSON object. Members may be added.
//
//   schema           1
//   architecture     such as "convnext", "llava"
//   parameters       their number
//   file_bytes       size of the file
//   format_version   the highest version of the format that the library reads
//   capabilities     array of names, such as "classifies_images"
//   schemes          bytes of the tensors by scheme, such as {"f32": 353704, "q8": 2158592}
//   classes          their number, or null
//   labels           their names in order, or null
//   scores           "softmax", "sigmoid" or "raw"; null without classes
//   input            how an image is prepared, or null
//   context_length   positions that the language model was made for, or null
//   config           the geometry of the architecture
//   instruction_set  the one in use
//   threads          those of the model
//   memory_bytes     what the process may take where weights are read as they are used, or null
//
// Errors: VLMZ_INVALID_ARGUMENT, VLMZ_BAD_DATA, VLMZ_NO_MEMORY. Thread-safe.
VLMZ_API vlmz_status vlmz_model_describe(vlmz_model *model, char **json);

// Frees the handle. The file is unmapped when the last session, conversation, picture and text
// classes of the model are gone too. NULL is allowed. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_model_free(vlmz_model *model);

// ---------------------------------------------------------------- images

// An image: a file, the bytes of one, or pixels. Making one of a file decodes no more than its
// header; each use decodes the file again. Any model may use it. Uses of one image at the same time
// wait for each other.
typedef struct vlmz_image vlmz_image;

typedef struct vlmz_image_options {
  size_t size;
  // Pixels of the largest image that is accepted; 0 for 178956970.
  uint64_t maximum_pixels;
  // What shines through transparent pixels, 0xRRGGBB.
  uint32_t background;
  // Not 0: read a file that lost rows, or whose checksums are wrong, all the same.
  int32_t accepts_damage;
} vlmz_image_options;

#define VLMZ_IMAGE_OPTIONS_INIT { sizeof(vlmz_image_options), 0, 0xffffff, 0 }

// Opens a file: PNG, JPEG, WebP, GIF, BMP, PNM, TIFF, HEIC or AVIF, whatever its name says. It is
// read whole and may change afterwards.
//
//   path     the file's name, any bytes, ended by zero.
//   options  or NULL.
//   image    where the handle goes.
//
// Errors: VLMZ_NOT_FOUND, VLMZ_NO_PERMISSION, VLMZ_IO; VLMZ_BAD_DATA for no image, or one larger
// than allowed; VLMZ_UNSUPPORTED where the library that decodes TIFF, HEIC or AVIF is not
// installed; VLMZ_INVALID_ARGUMENT; VLMZ_NO_MEMORY. Damage behind the header shows in the first
// use. Thread-safe.
VLMZ_API vlmz_status vlmz_image_from_file(
    const char *path, const vlmz_image_options *options, vlmz_image **image);

// The same of the bytes of a file, which are copied; a count of 0 is VLMZ_BAD_DATA. Errors: as
// above, but for those of the file system. Thread-safe.
VLMZ_API vlmz_status vlmz_image_from_bytes(
    const void *bytes, size_t count, const vlmz_image_options *options, vlmz_image **image);

// How the bytes of a pixel lie, 8 bits a channel, sRGB. Values may be added.
enum {
  VLMZ_RGB8 = 1,
  VLMZ_RGBA8 = 2,  // Opacity comes last; the colours are not multiplied by it.
  VLMZ_BGR8 = 3,
  VLMZ_BGRA8 = 4,
  VLMZ_GRAY8 = 5
};

// Pixels that the caller owns.
typedef struct vlmz_pixels {
  size_t size;
  const void *data;  // The first byte of the top row.
  // Pixels of a row, and rows: 1 to 16777216 each.
  uint32_t width;
  uint32_t height;
  // From a row's first byte to the next row's: at least those of its pixels; 0 for rows without
  // gaps. Nothing behind the last pixel of the last row is read.
  size_t bytes_per_row;
  int32_t format;  // VLMZ_RGB8 …
  // Called once with user, from any thread, when the pixels are no longer needed; NULL for nobody.
  void (*release)(void *user);
  void *user;
} vlmz_pixels;

#define VLMZ_PIXELS_INIT { sizeof(vlmz_pixels), NULL, 0, 0, 0, 0, NULL, NULL }

// Makes an image of pixels, which are read where they lie: they must stay, unchanged, until release
// is called, or, without it, until the image is freed and no call that was given it is running.
// VLMZ_RGB8 without gaps is not copied at all, other layouts a few rows at a time. On failure
// release is not called.
//
//   pixels   the structure itself may go when the call is over.
//   options  or NULL.
//   image    where the handle goes.
//
// Errors: VLMZ_INVALID_ARGUMENT, VLMZ_BAD_DATA for an image larger than allowed. Thread-safe.
VLMZ_API vlmz_status vlmz_image_from_pixels(
    const vlmz_pixels *pixels, const vlmz_image_options *options, vlmz_image **image);

// Gives width and height in pixels, turned as the file says; each pointer may be NULL. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_image_get_size(vlmz_image *image, uint32_t *width, uint32_t *height);

// Frees the handle. NULL is allowed. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_image_free(vlmz_image *image);

// ---------------------------------------------------------------- sessions

// What one caller needs to look at images: memory that is kept from call to call.
typedef struct vlmz_session vlmz_session;

typedef struct vlmz_session_options {
  size_t size;
  int32_t threads;  // Of the session's own, 1 to 1024; 0 to share the model's.
} vlmz_session_options;

#define VLMZ_SESSION_OPTIONS_INIT { sizeof(vlmz_session_options), 0 }

// Makes a session. options may be NULL. Errors: VLMZ_INVALID_ARGUMENT, VLMZ_NO_MEMORY. Thread-safe.
VLMZ_API vlmz_status vlmz_session_create(
    vlmz_model *model, const vlmz_session_options *options, vlmz_session **session);

// One class with its score. The structure never grows: it stands in arrays.
typedef struct vlmz_candidate {
  const char *label;  // What the class is called; NULL where the model's file has no names.
  // A probability, 0 to 1; any number where the model's "scores" are "raw", see
  // vlmz_model_describe().
  double score;
  // The model's output, or the text's place in the list, from 0.
  size_t index;
} vlmz_candidate;

// Classifies an image.
//
//   top         candidates at most, 1 or more.
//   candidates  the best, best first; one block for vlmz_free(), labels included.
//   count       how many: top, or all classes where there are fewer.
//
// Errors: VLMZ_INVALID_ARGUMENT; VLMZ_NOT_CAPABLE for a model without classes; VLMZ_BAD_DATA for a
// damaged or too small image, or weights that give no numbers; VLMZ_IO for a model's file that has
// changed; VLMZ_NO_MEMORY, VLMZ_BUSY, VLMZ_CANCELLED. One at a time.
VLMZ_API vlmz_status vlmz_session_classify(
    vlmz_session *session, vlmz_image *image, size_t top, vlmz_candidate **candidates,
    size_t *count);

// The same of several images. Neighbours whose inputs have one size are computed together, which is
// faster and gives the same numbers.
//
//   images      image_count of them, 1 or more.
//   candidates  those of the first image, then those of the next; count of each image.
//
// Errors: as for one image; the first failure ends the call. One at a time. Since version 2.
VLMZ_API vlmz_status vlmz_session_classify_images(
    vlmz_session *session, vlmz_image *const *images, size_t image_count, size_t top,
    vlmz_candidate **candidates, size_t *count);

// Maps an image to a vector, f32. Where the model embeds texts too, its Euclidean norm is 1, and
// the cosine of two vectors says how alike they are; elsewhere the vector is what the model's
// pooling gives.
//
//   values  count of them.
//
// Errors: as vlmz_session_classify(), but VLMZ_NOT_CAPABLE for a model that answers questions. One
// at a time.
VLMZ_API vlmz_status vlmz_session_embed_image(
    vlmz_session *session, vlmz_image *image, float **values, size_t *count);

// The same of several images: image_count rows of count values; see
// vlmz_session_classify_images(). Since version 2.
VLMZ_API vlmz_status vlmz_session_embed_images(
    vlmz_session *session, vlmz_image *const *images, size_t image_count, float **values,
    size_t *count);

// Maps a text to a vector of Euclidean norm 1 in the space of the images'. Text that is longer than
// the model reads is cut. Errors: VLMZ_INVALID_ARGUMENT; VLMZ_NOT_CAPABLE for a model that reads no
// texts; VLMZ_BAD_DATA for weights that give no numbers; VLMZ_IO for a model's file that has
// changed; VLMZ_NO_MEMORY, VLMZ_BUSY, VLMZ_CANCELLED. One at a time.
VLMZ_API vlmz_status vlmz_session_embed_text(
    vlmz_session *session, const char *text, float **values, size_t *count);

// Texts that images are compared with, as vectors. They never change, and any session of the model
// that made them may use them.
typedef struct vlmz_text_classes vlmz_text_classes;

// Makes classes of texts, once for any number of images.
//
//   labels     label_count of them, 1 or more, none empty or of white space alone.
//   templates  template_count texts, each with {} where the label goes, such as "a photo of a {}";
//              a label's vector is then the mean of theirs, divided by its norm. NULL and 0 for
//              the labels alone.
//   classes    where the handle goes.
//
// Errors: as vlmz_session_embed_text(); VLMZ_INVALID_ARGUMENT also for a template without {}. One
// at a time.
VLMZ_API vlmz_status vlmz_session_make_text_classes(
    vlmz_session *session, const char *const *labels, size_t label_count,
    const char *const *templates, size_t template_count, vlmz_text_classes **classes);

// Frees the handle. NULL is allowed. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_text_classes_free(vlmz_text_classes *classes);

// Says which of some texts an image is most like (zero-shot classification); scores are
// probabilities, the softmax over all texts, or with a SigLIP each text's own. Parameters and errors:
// as vlmz_session_classify(), but VLMZ_NOT_CAPABLE for a model that reads no texts, and
// VLMZ_INVALID_ARGUMENT also for classes that another model made. One at a time.
VLMZ_API vlmz_status vlmz_session_classify_by_text(
    vlmz_session *session, vlmz_image *image, vlmz_text_classes *classes, size_t top,
    vlmz_candidate **candidates, size_t *count);

// The same of several images; see vlmz_session_classify_images(). Since version 2.
VLMZ_API vlmz_status vlmz_session_classify_images_by_text(
    vlmz_session *session, vlmz_image *const *images, size_t image_count,
    vlmz_text_classes *classes, size_t top, vlmz_candidate **candidates, size_t *count);

// An intermediate of a model. The structure never grows: it stands in arrays.
typedef struct vlmz_feature {
  // What vlm-run --dump calls it, such as "stage2", "hidden.11", "projector".
  const char *name;
  // As many as the product of the extents, the last of them running fastest.
  const float *values;
  // rank extents, outermost first: maps 1, channels, height, width; tokens 1, tokens, channels;
  // vectors 1, channels. The others are 1.
  size_t shape[4];
  size_t rank;
} vlmz_feature;

// Gives what a model makes of an image on the way to its answer.
//
//   names     name_count features that are wanted; NULL and 0 for all, which takes much memory.
//   features  count of them, in the order in which they come to be; one block for vlmz_free(),
//             names and values included.
//
// Errors: as vlmz_session_classify(), but VLMZ_NOT_CAPABLE for a model that sees no images, and
// VLMZ_INVALID_ARGUMENT also for a name that the model does not have: vlmz_last_error() then lists
// all. One at a time. Since version 2.
VLMZ_API vlmz_status vlmz_session_features(
    vlmz_session *session, vlmz_image *image, const char *const *names, size_t name_count,
    vlmz_feature **features, size_t *count);

// An image as a language model sees it: visual tokens. It never changes; any conversation of its
// model may use it, any number of times. It may be freed as soon as the question that it was given
// with returns: the conversation keeps what it needs.
typedef struct vlmz_picture vlmz_picture;

typedef struct vlmz_encoding_options {
  size_t size;
  // The short side of the model's input in pixels: at least the tower's stride, at most 16384; 0
  // for the model's own. It is rounded down to a multiple of the stride. The size that results
  // shows in vlmz_picture_get_token_count().
  int32_t resolution;
  // Not 0: whole, in its own proportions. VLMZ_INVALID_ARGUMENT for a tower that takes squares only.
  int32_t keeps_aspect;
  // Not 0: the conversation has others; LLaVA-OneVision cuts only a lone image into tiles.
  int32_t one_of_several;
} vlmz_encoding_options;

#define VLMZ_ENCODING_OPTIONS_INIT { sizeof(vlmz_encoding_options), 0, 0, 0 }

// Encodes an image for questions about it. options may be NULL. Errors: as vlmz_session_classify(),
// but VLMZ_NOT_CAPABLE for a model that answers nothing about images. One at a time.
VLMZ_API vlmz_status vlmz_session_encode(
    vlmz_session *session, vlmz_image *image, const vlmz_encoding_options *options,
    vlmz_picture **picture);

// Gives the positions of the context that it takes. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_picture_get_token_count(vlmz_picture *picture, size_t *count);

// Frees the handle. NULL is allowed. Errors: VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_picture_free(vlmz_picture *picture);

// Ends the call that is running on the session with VLMZ_CANCELLED. The layer of the vision tower,
// or the text, that is being computed is finished first; a picture is decoded to its end. A
// cancellation before the call has begun is lost: call again until the call returns. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_session_cancel(vlmz_session *session);

// Frees the handle; a call that is running ends as it would have. NULL is allowed. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_session_free(vlmz_session *session);

// ---------------------------------------------------------------- conversations

// Questions and answers, turn after turn, with the keys and values of all of them in memory.
typedef struct vlmz_conversation vlmz_conversation;

typedef struct vlmz_conversation_options {
  size_t size;
  // The chat template, by name: one that the model's file has, or one of the library's:
  // "vicuna_v1", "llama_2", "mpt", "chatml", "qwen2", "mistral", "llama-3", "gemma", "phi-3" and
  // others. "none" for no roles: the text goes on where the question ends. NULL for what the file
  // says, and "none" where it says nothing; one that cannot be parsed is VLMZ_BAD_DATA. Another
  // name is VLMZ_INVALID_ARGUMENT; vlmz_last_error() then lists all names.
  const char *chat_template;
  // What the model is told first; NULL for the template's own.
  const char *system;
  // How keys and values are stored: "f32", "f16", "bf16" or "q8"; NULL for "f16".
  const char *key_values;
  // Positions for text and pictures together, 1 to 16777216; more than the memory has room for is
  // VLMZ_NO_MEMORY. 0 for the model's, at most 4096, and fewer where memory is short: see
  // vlmz_conversation_get_context_length().
  int32_t context_length;
  // Threads of the conversation's own, 1 to 1024; 0 to share the model's.
  int32_t threads;
} vlmz_conversation_options;

#define VLMZ_CONVERSATION_OPTIONS_INIT { sizeof(vlmz_conversation_options), NULL, NULL, NULL, 0, 0 }

// Begins a conversation with nothing said. options may be NULL. Errors: VLMZ_NOT_CAPABLE for a
// model that writes no text or has no tokenizer; VLMZ_INVALID_ARGUMENT; VLMZ_BAD_DATA for a
// template that cannot be read; VLMZ_NO_MEMORY for a context that is too long for the machine.
// Thread-safe.
VLMZ_API vlmz_status vlmz_conversation_create(
    vlmz_model *model, const vlmz_conversation_options *options,
    vlmz_conversation **conversation);

typedef struct vlmz_answer_options {
  size_t size;
  // Tokens of the answer at most, 1 or more; 0 for 512.
  int32_t maximum_tokens;
  // The so many most probable tokens are drawn from; 0 for all, negative for the model's own.
  int32_t top_k;
  // Divides the logits, 0 to 100; 0 takes the most probable token; negative for the model's own.
  double temperature;
  // The fewest most probable tokens that add up to this, 0 to 1; negative for the model's own.
  double top_p;
  // Tokens with this share of the highest probability, 0 to 1; negative for the model's own.
  double min_p;
  // Divides logits of tokens that came before, 0.01 to 100; negative for the model's own.
  double repeat_penalty;
  // The same number gives the same text.
  uint64_t seed;
  // Texts that end the answer and are no part of it: stop_count of them.
  const char *const *stops;
  size_t stop_count;
  // Since version 3: what the answer must be, one of these at most; docs/grammars.md says more. JSON
  // that is valid for a JSON Schema, a text of a grammar in GBNF, or, if not 0, any JSON object.
  const char *json_schema;
  const char *grammar;
  int32_t json_object;
  // Since version 3: off the logits of the answer's tokens, once and for each time, -100 to 100.
  double presence_penalty;
  double frequency_penalty;
  // Since version 4: tokens that a pass may propose where text repeats; 0 for 7, negative for none.
  int32_t speculated_tokens;
} vlmz_answer_options;

#define VLMZ_ANSWER_OPTIONS_INIT \
  { sizeof(vlmz_answer_options), 0, -1, -1., -1., -1., -1., 0, NULL, 0, NULL, NULL, 0, 0., 0., 0 }

// Takes a piece of an answer as soon as it is certain, on the thread that asked: length bytes of
// UTF-8 in whole characters, and a zero byte behind them. The text is valid until the callback
// returns. Returns 0 to go on; anything else ends the answer. Of this conversation it may call
// vlmz_conversation_cancel(), vlmz_conversation_free() and vlmz_conversation_get_context_length();
// vlmz_conversation_ask() and vlmz_conversation_clear() give VLMZ_BUSY. Other handles may be used
// without restriction. It must return: no exception, no longjmp.
typedef int (*vlmz_text_callback)(const char *text, size_t length, void *user);

// Why an answer ends. Values may be added.
enum {
  VLMZ_ENDING_STOP_TOKEN = 1,  // A token that ends texts.
  VLMZ_ENDING_STOP_TEXT = 2,  // One of the stops.
  VLMZ_ENDING_LENGTH = 3,  // maximum_tokens were written.
  VLMZ_ENDING_CONTEXT = 4,  // The context is full.
  VLMZ_ENDING_CANCELLED = 5,  // It was cancelled.
  VLMZ_ENDING_COMPLETE = 6  // All that json_schema, grammar or json_object allow. Since version 3.
};

// An answer. Members may be added at the end.
typedef struct vlmz_answer {
  // All of the text, length bytes.
  const char *text;
  size_t length;
  // VLMZ_ENDING_STOP_TOKEN …
  int32_t ending;
  // Tokens of the answer, without the one that ended it.
  int32_t tokens;
  // Positions of the whole prompt that are text, and that are pictures.
  int32_t prompt_tokens;
  int32_t picture_tokens;
  // Positions of the prompt, of text and of pictures, that the context still held from before.
  int32_t reused_tokens;
  // Seconds until the first token, and for the others together.
  double prompt_seconds;
  double token_seconds;
  // Since version 4: tokens that were proposed, and those of them that the model chose.
  int32_t proposed_tokens;
  int32_t accepted_tokens;
} vlmz_answer;

// Asks a question; question and answer become a part of the conversation.
//
//   question       a text, UTF-8. Where pictures stand in it may be said with <image>, once for
//                  each; otherwise they stand before it. Another number of <image> than of pictures
//                  is VLMZ_INVALID_ARGUMENT. A special token that is spelled in it is plain text
//                  where a template frames it, and the token itself without one ("none").
//   pictures       picture_count of them, which the question is about; NULL and 0 for none.
//                  Pictures of earlier questions are still seen, and may have been freed.
//   options        or NULL.
//   callback       takes the answer piece by piece; or NULL.
//   user           is given to callback.
//   answer         where the whole answer goes, one block for vlmz_free() with its text; or NULL.
//
// An answer that is cancelled after its first piece is an answer, VLMZ_OK, and its ending says so;
// one that is cancelled before is VLMZ_CANCELLED and no part of the conversation, like one that
// fails. Errors: VLMZ_INVALID_ARGUMENT, also for more than the context has room for;
// VLMZ_NOT_CAPABLE for pictures that the model cannot see; VLMZ_BAD_DATA for weights that give no
// numbers, or a template that fails; VLMZ_IO for a model's file that has changed; VLMZ_NO_MEMORY,
// VLMZ_BUSY, VLMZ_CANCELLED. One at a time.
VLMZ_API vlmz_status vlmz_conversation_ask(
    vlmz_conversation *conversation, const char *question, vlmz_picture *const *pictures,
    size_t picture_count, const vlmz_answer_options *options, vlmz_text_callback callback,
    void *user, vlmz_answer **answer);

// Forgets everything that was said and seen. Errors: VLMZ_INVALID_ARGUMENT, VLMZ_BUSY. One at a
// time.
VLMZ_API vlmz_status vlmz_conversation_clear(vlmz_conversation *conversation);

// Gives the positions that the conversation may have, text and pictures together. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_conversation_get_context_length(
    vlmz_conversation *conversation, size_t *length);

// Ends the call that is running on the conversation: an answer ends with what is written of it.
// A cancellation before the call has begun is lost: call again until the call returns. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_conversation_cancel(vlmz_conversation *conversation);

// Frees the handle; a call that is running ends as it would have. NULL is allowed. Errors:
// VLMZ_INVALID_ARGUMENT. Thread-safe.
VLMZ_API vlmz_status vlmz_conversation_free(vlmz_conversation *conversation);

#ifdef __cplusplus
}
#endif

#endif
