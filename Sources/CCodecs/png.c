// Decodes PNG from memory with libpng's low-level reader.
//
// Only IHDR, PLTE, tRNS, IDAT and IEND are handled; every other chunk is skipped, so no profile or
// text is ever decompressed or kept. Palettes, transparency and depth are left to the caller: the
// samples are returned as stored.

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "include/image_codecs.h"

struct vlm_png {
  const uint8_t *bytes;
  size_t count, offset;
  png_structp png;
  png_infop info;
  vlm_image_message message;
  vlm_image_status status;
  // Bytes per row from libpng; 0 until the first row is requested.
  size_t row_bytes;
  size_t next_row;
  // For an interlaced image: all rows, packed as in the file.
  uint8_t *whole;
  int channels, bit_depth;
  // The pixels are complete; only the end of the stream remains to be checked.
  bool is_finishing;
  // That check failed while reading the last row, after which libpng reads ahead.
  bool lacks_stream_end;
  bool accepts_damage;
  // libpng has failed; the samples not yet delivered are 0.
  bool is_broken;
  bool is_at_end;
  vlm_image_damage damage;
};

static void keep_message(vlm_image_message *message, const char *text) {
  size_t length = strlen(text);
  if (length >= sizeof message->text) length = sizeof message->text - 1;
  memcpy(message->text, text, length);
  message->text[length] = 0;
}

static void fail(png_structp png, png_const_charp text) {
  vlm_png *decoder = png_get_error_ptr(png);
  keep_message(&decoder->message, text);
  // libpng has no error codes; this text is the only indication of a failed allocation.
  decoder->status = strstr(text, "memory")      ? VLM_IMAGE_NO_MEMORY
                    : strstr(text, "CRC error") ? VLM_IMAGE_DAMAGED
                                                : VLM_IMAGE_CORRUPT;
  png_longjmp(png, 1);
}

// libpng only warns if the Adler-32 of otherwise complete pixels is wrong, and if it was told to
// accept wrong checksums of critical chunks. The texts are zlib's and libpng's.
static void warn(png_structp png, png_const_charp text) {
  vlm_png *decoder = png_get_error_ptr(png);
  const bool is_adler = decoder->is_finishing && strstr(text, "incorrect data check");
  if (is_adler && !decoder->accepts_damage) png_error(png, "IDAT: incorrect data check");
  if (!decoder->accepts_damage || !(is_adler || strstr(text, "CRC error"))) return;
  if (!decoder->damage.has_bad_checksum) keep_message(&decoder->damage.message, text);
  decoder->damage.has_bad_checksum = true;
}

enum { CHUNK_HEADER = 8 };

// libpng reads a chunk in pieces of its buffer's size, and would receive nothing of a final piece
// that the end of the file truncates. Invalid chunk lengths are left for libpng to refuse.
static void shorten(uint8_t *header, size_t left) {
  const uint32_t length = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
                          (uint32_t)header[2] << 8 | header[3];
  if (memcmp(header + 4, "IDAT", 4) != 0 || length <= left || length > PNG_UINT_31_MAX) return;
  for (int i = 0; i < 4; i++) header[i] = (uint8_t)(left >> (24 - 8 * i));
}

static void supply(png_structp png, png_bytep to, size_t length) {
  vlm_png *decoder = png_get_io_ptr(png);
  if (length > decoder->count - decoder->offset) {
    decoder->is_at_end = true;
    png_error(png, "the file ends early");
  }
  memcpy(to, decoder->bytes + decoder->offset, length);
  decoder->offset += length;
  if (length == CHUNK_HEADER) shorten(to, decoder->count - decoder->offset);
}

void vlm_png_close(vlm_png *decoder) {
  if (!decoder) return;
  png_destroy_read_struct(&decoder->png, &decoder->info, NULL);
  free(decoder->whole);
  free(decoder);
}

// Whether the file ends within a chunk of pixels.
static bool ends_within_pixels(const vlm_png *decoder) {
  size_t offset = 8;
  while (offset + 8 <= decoder->count) {
    const uint8_t *chunk = decoder->bytes + offset;
    const size_t length = png_get_uint_32(chunk);
    if (length > decoder->count - offset - 8) return memcmp(chunk + 4, "IDAT", 4) == 0;
    offset += length + 12;
  }
  return false;
}

static void read_header(vlm_png *decoder, vlm_png_header *header) {
  png_structp png = decoder->png;
  png_infop info = decoder->info;
  // The caller limits the size in pixels; only the format's limit applies here.
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(png, 0);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_crc_action(
      png, decoder->accepts_damage ? PNG_CRC_WARN_USE : PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_set_read_fn(png, decoder, supply);
  // libpng requests thousands of bytes at once; the last bytes of a truncated file are still used.
  if (ends_within_pixels(decoder)) png_set_compression_buffer_size(png, 1);
  png_read_info(png, info);

  memset(header, 0, sizeof *header);
  header->width = png_get_image_width(png, info);
  header->height = png_get_image_height(png, info);
  header->color_type = png_get_color_type(png, info);
  header->bit_depth = png_get_bit_depth(png, info);
  header->is_interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
  decoder->channels = png_get_channels(png, info);
  decoder->bit_depth = header->bit_depth;
  for (int i = 0; i < 256; i++) header->palette[i][3] = 255;
  png_colorp palette = NULL;
  int colors = 0;
  if (header->color_type == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(png, info, &palette, &colors)) {
    header->palette_count = (uint16_t)colors;
    for (int i = 0; i < colors && i < 256; i++) {
      header->palette[i][0] = palette[i].red;
      header->palette[i][1] = palette[i].green;
      header->palette[i][2] = palette[i].blue;
    }
  }
  png_bytep alpha = NULL;
  int alphas = 0;
  png_color_16p key = NULL;
  if (png_get_tRNS(png, info, &alpha, &alphas, &key)) {
    if (header->color_type == PNG_COLOR_TYPE_PALETTE && alpha) {
      header->palette_alpha_count = (uint16_t)alphas;
      for (int i = 0; i < alphas && i < 256; i++) header->palette[i][3] = alpha[i];
    } else if (header->color_type == PNG_COLOR_TYPE_GRAY && key) {
      header->has_key = true;
      header->key[0] = key->gray;
    } else if (header->color_type == PNG_COLOR_TYPE_RGB && key) {
      header->has_key = true;
      header->key[0] = key->red;
      header->key[1] = key->green;
      header->key[2] = key->blue;
    }
  }
}

vlm_image_status vlm_png_open(
    const uint8_t *bytes, size_t count, bool accepts_damage, vlm_png **result,
    vlm_png_header *header, vlm_image_message *message) {
  *result = NULL;
  vlm_png *decoder = calloc(1, sizeof *decoder);
  if (!decoder) {
    keep_message(message, "out of memory");
    return VLM_IMAGE_NO_MEMORY;
  }
  decoder->bytes = bytes;
  decoder->count = count;
  decoder->accepts_damage = accepts_damage;
  decoder->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, decoder, fail, warn);
  if (decoder->png) decoder->info = png_create_info_struct(decoder->png);
  if (!decoder->info) {
    keep_message(message, "out of memory");
    vlm_png_close(decoder);
    return VLM_IMAGE_NO_MEMORY;
  }
  if (setjmp(png_jmpbuf(decoder->png))) {
    *message = decoder->message;
    const vlm_image_status status = decoder->status;
    vlm_png_close(decoder);
    return status;
  }
  read_header(decoder, header);
  *result = decoder;
  return VLM_IMAGE_OK;
}

static void start(vlm_png *decoder) {
  png_structp png = decoder->png;
  const int passes = png_set_interlace_handling(png);
  // Interlaced rows stay packed until they are returned.
  if (passes == 1) png_set_packing(png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  png_set_swap(png);
#endif
  png_read_update_info(png, decoder->info);
  decoder->row_bytes = png_get_rowbytes(png, decoder->info);
  if (passes == 1) return;
  // Passes are combined in place, so pixels of missing passes must be initialised.
  const size_t height = png_get_image_height(png, decoder->info);
  decoder->whole = calloc(height, decoder->row_bytes);
  if (!decoder->whole) png_error(png, "out of memory");
  for (int pass = 0; pass < passes; pass++) {
    for (size_t y = 0; y < height; y++) {
      png_read_row(png, decoder->whole + y * decoder->row_bytes, NULL);
    }
  }
}

// Unpacks samples below 8 bits to one byte each, the first from the highest bits.
static void unpack(const uint8_t *row, int depth, uint8_t *samples, size_t count) {
  const size_t per_byte = 8 / (size_t)depth;
  const uint8_t mask = (uint8_t)((1 << depth) - 1);
  for (size_t i = 0; i < count; i++) {
    const int shift = 8 - depth * (int)(i % per_byte + 1);
    samples[i] = row[i / per_byte] >> shift & mask;
  }
}

static void read_row(vlm_png *decoder, uint8_t *samples, size_t row_size) {
  if (decoder->is_broken) decoder->damage.lost_rows++;
  if (decoder->is_broken && !decoder->whole) {
    memset(samples, 0, row_size);
  } else if (!decoder->whole) {
    png_read_row(decoder->png, samples, NULL);
  } else {
    const uint8_t *row = decoder->whole + decoder->next_row * decoder->row_bytes;
    if (decoder->bit_depth < 8) {
      unpack(row, decoder->bit_depth, samples, row_size);
    } else {
      memcpy(samples, row, row_size);
    }
  }
  decoder->next_row++;
}

// Prepares for reading the pixels.
static void check_rows(vlm_png *decoder, size_t row_size, size_t rows) {
  const size_t width = png_get_image_width(decoder->png, decoder->info);
  const size_t height = png_get_image_height(decoder->png, decoder->info);
  const size_t sample = decoder->bit_depth == 16 ? 2 : 1;
  if (row_size != width * (size_t)decoder->channels * sample ||
      (!decoder->whole && row_size != decoder->row_bytes) || rows > height - decoder->next_row) {
    png_error(decoder->png, "rows of an unexpected size");
  }
}

// Whether the failure is after the last row, which is complete.
static bool has_all_rows(vlm_png *decoder) {
  if (decoder->row_bytes == 0) return false;
  if (decoder->whole) return png_get_current_pass_number(decoder->png) >= PNG_INTERLACE_ADAM7_PASSES;
  const uint32_t height = png_get_image_height(decoder->png, decoder->info);
  return decoder->next_row + 1 == height && png_get_current_row_number(decoder->png) == height;
}

vlm_image_status vlm_png_read_rows(
    vlm_png *decoder, uint8_t *samples, size_t row_size, size_t rows, vlm_image_message *message) {
  const size_t first = decoder->next_row;
  if (setjmp(png_jmpbuf(decoder->png))) {
    // Without any row there is no image.
    const bool has_rows = decoder->next_row > 0 || decoder->whole;
    if (decoder->status == VLM_IMAGE_CORRUPT && has_rows) decoder->status = VLM_IMAGE_DAMAGED;
    decoder->lacks_stream_end = decoder->is_at_end && has_all_rows(decoder);
    if (decoder->lacks_stream_end) {
      if (!decoder->whole) {
        decoder->next_row++;
        return VLM_IMAGE_OK;
      }
    } else if (!decoder->accepts_damage || decoder->status != VLM_IMAGE_DAMAGED ||
               decoder->is_broken) {
      *message = decoder->message;
      return decoder->status;
    } else {
      decoder->is_broken = true;
      decoder->damage.message = decoder->message;
    }
  }
  if (decoder->row_bytes == 0) start(decoder);
  if (decoder->next_row == first) check_rows(decoder, row_size, rows);
  while (decoder->next_row - first < rows) {
    read_row(decoder, samples + (decoder->next_row - first) * row_size, row_size);
  }
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_png_finish(
    vlm_png *decoder, vlm_image_damage *damage, vlm_image_message *message) {
  if (setjmp(png_jmpbuf(decoder->png))) {
    if (decoder->is_finishing && (decoder->is_at_end || decoder->accepts_damage)) {
      if (decoder->is_at_end) {
        decoder->damage.lacks_end = true;
      } else {
        decoder->damage.has_bad_checksum = true;
        decoder->damage.message = decoder->message;
      }
      *damage = decoder->damage;
      return VLM_IMAGE_OK;
    }
    *message = decoder->message;
    return decoder->is_finishing ? VLM_IMAGE_DAMAGED : decoder->status;
  }
  free(decoder->whole);
  decoder->whole = NULL;
  if (decoder->next_row != png_get_image_height(decoder->png, decoder->info)) {
    png_error(decoder->png, "rows were left out");
  }
  decoder->is_finishing = true;
  if (decoder->lacks_stream_end) {
    decoder->damage.lacks_end = true;
  } else if (!decoder->is_broken) {
    png_read_end(decoder->png, NULL);
  }
  *damage = decoder->damage;
  return VLM_IMAGE_OK;
}
