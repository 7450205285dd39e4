// Exposes zlib, zstd and PCRE2 to Swift.

#ifndef SYSTEM_LIBRARIES_H
#define SYSTEM_LIBRARIES_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <zlib.h>
#include <zstd.h>

// `inflateInit2` is a macro that passes the size of the structure: a function, so that Swift sees it.
static inline int vlm_inflate_raw_begin(z_stream *stream) {
  return inflateInit2(stream, -MAX_WBITS);
}

#endif
