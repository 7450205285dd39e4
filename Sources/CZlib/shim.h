#include <zlib.h>

/// `inflateInit2` is a macro that passes the size of the structure: a function, so that Swift sees it.
static inline int vlm_inflate_raw_begin(z_stream *stream) {
  return inflateInit2(stream, -MAX_WBITS);
}
