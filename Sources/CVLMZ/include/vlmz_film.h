// The part of the C interface that asks models about films; see vlmz.h, whose rules hold. Since version
// 5 of the interface.

#ifndef VLMZ_FILM_H
#define VLMZ_FILM_H

#include "vlmz.h"

#ifdef __cplusplus
extern "C" {
#endif

// A film: pictures in their order, or one animated GIF. Exactly one of frames, path and bytes is given.
typedef struct vlmz_film {
  size_t size;
  // frame_count pictures, 1 or more, or NULL and 0.
  vlmz_image *const *frames;
  size_t frame_count;
  // The name of an animated GIF, any bytes, ended by zero; or NULL.
  const char *path;
  // The bytes of one, byte_count; or NULL and 0.
  const void *bytes;
  size_t byte_count;
  // Frames are so many a second: above 0, at most 1000. Of a GIF 0 stands for as many as its delays make
  // on average.
  double frames_per_second;
  // Of the largest GIF that is accepted, and what it shows where it paints nothing; see
  // vlmz_image_options. Frames have options of their own.
  uint64_t maximum_pixels;
  uint32_t background;
} vlmz_film;

#define VLMZ_FILM_INIT { sizeof(vlmz_film), NULL, 0, NULL, NULL, 0, 0., 0, 0xffffff }

// Asks a question about a film; question and answer become a part of the conversation. The model sees as
// many of the frames as it was trained on, evenly spread, each behind its time; the others are not
// decoded. They are encoded with the conversation's threads, and cancelled by
// vlmz_conversation_cancel().
//
//   question  a text without <image>: frames have places of their own before it.
//   film      the film; the structure, and what it points at, may go when the call is over.
//   options   or NULL.
//   callback  takes the answer piece by piece; or NULL.
//   user      is given to callback.
//   answer    where the whole answer goes, as of vlmz_conversation_ask(); or NULL.
//
// Errors: as vlmz_conversation_ask(), but VLMZ_NOT_CAPABLE for a model that was trained on no films;
// VLMZ_BAD_DATA also for a frame that cannot be decoded, and for a file that is no GIF; VLMZ_NOT_FOUND
// and VLMZ_NO_PERMISSION for path. One at a time.
VLMZ_API vlmz_status vlmz_conversation_ask_about_film(
    vlmz_conversation *conversation, const char *question, const vlmz_film *film,
    const vlmz_answer_options *options, vlmz_text_callback callback, void *user,
    vlmz_answer **answer);

#ifdef __cplusplus
}
#endif

#endif
