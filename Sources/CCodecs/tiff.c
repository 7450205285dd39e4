// Decodes TIFF from memory with libtiff, which is loaded when first needed.
//
// libtiff handles compression; the interpretation of samples is implemented here and follows
// Pillow. Message handlers are set per handle (libtiff 4.5 and later, libtiff.so.6), so nothing is
// printed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/image_libraries.h"
#include "tiff_library.h"

static const struct vlm_tiff_library *const library = &vlm_tiff_library;

// Values from tiff.h.
enum {
  TAG_SUBFILE_TYPE = 254,
  TAG_WIDTH = 256,
  TAG_HEIGHT = 257,
  TAG_BITS = 258,
  TAG_COMPRESSION = 259,
  TAG_PHOTOMETRIC = 262,
  TAG_ORIENTATION = 274,
  TAG_SAMPLES = 277,
  TAG_ROWS_PER_STRIP = 278,
  TAG_PLANAR = 284,
  TAG_COLORMAP = 320,
  TAG_TILE_WIDTH = 322,
  TAG_TILE_HEIGHT = 323,
  TAG_EXTRA_SAMPLES = 338,
  TAG_SAMPLE_FORMAT = 339,
  TAG_XMP = 700,
  TAG_DNG_VERSION = 50706,
  TAG_JPEG_COLOR_MODE = 65538,
  COMPRESSION_OJPEG = 6,
  COMPRESSION_JPEG = 7,
  WHITE_IS_ZERO = 0,
  BLACK_IS_ZERO = 1,
  RGB = 2,
  PALETTE = 3,
  CMYK = 5,
  YCBCR = 6,
};

// How samples are read. A band is the unit of decoding.
typedef enum { BY_SCANLINE, BY_STRIP, BY_TILE, BY_RGBA_STRIP, BY_RGBA_TILE } fetching;

typedef enum { ALPHA_NONE, ALPHA_IGNORED, ALPHA_PLAIN, ALPHA_MULTIPLIED } alpha_kind;

struct vlm_tiff {
  const uint8_t *bytes;
  uint64_t count, offset;
  TIFF *tiff;
  vlm_image_message message;
  bool has_message, is_damaged;
  uint32_t width, height;
  uint16_t bits, samples, photometric;
  bool is_planar;
  alpha_kind alpha;
  uint8_t channels, depth;
  fetching way;
  // Rows per strip or tile, and columns per tile.
  uint32_t band_rows, tile_width;
  // The band with the next row, in libtiff's layout, `band_stride` bytes per row.
  uint8_t *band, *piece;
  size_t band_stride, piece_size;
  uint32_t next_row;
  // The first row after the band; its rows up to `bad_until` are lost.
  uint32_t band_end, bad_until;
  uint8_t palette[256][3];
};

static int keep_error(
    TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
  (void)tiff, (void)module;
  vlm_tiff *decoder = user;
  if (!decoder->has_message) {
    vsnprintf(decoder->message.text, sizeof decoder->message.text, format, arguments);
    decoder->has_message = true;
  }
  return 1;
}

// libjpeg's warnings arrive here and mean lost or invented pixels; other warnings concern tags.
static int keep_warning(
    TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
  vlm_tiff *decoder = user;
  if (module && strcmp(module, "JPEGLib") == 0) {
    decoder->is_damaged = true;
    return keep_error(tiff, user, module, format, arguments);
  }
  return 1;
}

static ssize_t read_bytes(void *user, void *to, ssize_t count) {
  vlm_tiff *decoder = user;
  if (count < 0 || decoder->offset >= decoder->count) return 0;
  const uint64_t rest = decoder->count - decoder->offset;
  const uint64_t length = (uint64_t)count < rest ? (uint64_t)count : rest;
  memcpy(to, decoder->bytes + decoder->offset, length);
  decoder->offset += length;
  return (ssize_t)length;
}

static ssize_t write_bytes(void *user, void *from, ssize_t count) {
  (void)user, (void)from, (void)count;
  return 0;
}

static uint64_t seek_bytes(void *user, uint64_t offset, int from) {
  vlm_tiff *decoder = user;
  if (from == SEEK_CUR) offset += decoder->offset;
  if (from == SEEK_END) offset += decoder->count;
  return decoder->offset = offset;
}

static int close_bytes(void *user) {
  (void)user;
  return 0;
}

static uint64_t size_bytes(void *user) { return ((vlm_tiff *)user)->count; }

static int map_bytes(void *user, void **base, uint64_t *size) {
  vlm_tiff *decoder = user;
  *base = (void *)decoder->bytes;
  *size = decoder->count;
  return 1;
}

static void unmap_bytes(void *user, void *base, uint64_t size) {
  (void)user, (void)base, (void)size;
}

void vlm_tiff_close(vlm_tiff *decoder) {
  if (!decoder) return;
  if (decoder->tiff) library->close(decoder->tiff);
  free(decoder->band);
  free(decoder->piece);
  free(decoder);
}

static vlm_image_status fail(
    vlm_tiff *decoder, vlm_image_status status, const char *text, vlm_image_message *message) {
  if (decoder && decoder->has_message) {
    *message = decoder->message;
  } else {
    snprintf(message->text, sizeof message->text, "%s", text);
  }
  return status;
}

static uint32_t number(TIFF *tiff, uint32_t tag, uint32_t otherwise) {
  uint32_t value = otherwise;
  return library->get(tiff, tag, &value) ? value : otherwise;
}

static uint16_t short_number(TIFF *tiff, uint32_t tag, uint16_t otherwise) {
  uint16_t value = otherwise;
  return library->get_defaulted(tiff, tag, &value) ? value : otherwise;
}

// Determines the meaning of a pixel's samples, as in Pillow's table of modes, also for separate
// planes.
static vlm_image_status understand(vlm_tiff *decoder, vlm_image_message *message) {
  TIFF *tiff = decoder->tiff;
  const uint16_t compression = short_number(tiff, TAG_COMPRESSION, 1);
  if (!library->has_codec(compression)) {
    snprintf(
        message->text, sizeof message->text, "compression %u, which libtiff here lacks",
        compression);
    return VLM_IMAGE_UNSUPPORTED;
  }
  uint16_t photometric = WHITE_IS_ZERO;
  if (!library->get(tiff, TAG_PHOTOMETRIC, &photometric) && compression == COMPRESSION_OJPEG) {
    photometric = YCBCR;
  }
  const uint8_t *version = NULL;
  if (library->get(tiff, TAG_DNG_VERSION, &version) || photometric == 32803 ||
      photometric == 34892 || (number(tiff, TAG_SUBFILE_TYPE, 0) & 1) != 0) {
    return fail(
        NULL, VLM_IMAGE_UNSUPPORTED,
        "a camera's raw file (DNG, NEF …), whose first picture is a thumbnail", message);
  }
  decoder->bits = short_number(tiff, TAG_BITS, 1);
  decoder->samples = short_number(tiff, TAG_SAMPLES, 1);
  decoder->is_planar = short_number(tiff, TAG_PLANAR, 1) == 2 && decoder->samples > 1;
  decoder->photometric = photometric;
  const uint16_t format = short_number(tiff, TAG_SAMPLE_FORMAT, 1);
  const bool is_gray = photometric == WHITE_IS_ZERO || photometric == BLACK_IS_ZERO;
  const bool is_unsigned =
      format == 1 || format == 4 || (format == 2 && decoder->bits == 8 && is_gray);
  const bool is_small = decoder->bits == 1 || decoder->bits == 2 || decoder->bits == 4;
  if (!is_unsigned || !(is_small || decoder->bits == 8 || decoder->bits == 16)) {
    snprintf(
        message->text, sizeof message->text, "%u bits a sample%s, expected 1, 2, 4, 8 or 16",
        decoder->bits, format == 3 ? " in floating point" : format == 2 ? ", signed" : "");
    return VLM_IMAGE_UNSUPPORTED;
  }
  uint16_t colors = 1;
  switch (photometric) {
    case WHITE_IS_ZERO:
    case BLACK_IS_ZERO:
    case PALETTE:
      break;
    case RGB:
    case YCBCR:
      colors = 3;
      break;
    case CMYK:
      colors = 4;
      break;
    default:
      snprintf(
          message->text, sizeof message->text,
          "colours of kind %u (%s), expected gray, palette, RGB, YCbCr or CMYK", photometric,
          photometric == 8 || photometric == 9 || photometric == 10 ? "Lab" : "unknown");
      return VLM_IMAGE_UNSUPPORTED;
  }
  if (photometric == YCBCR && decoder->samples == 1) colors = 1;
  const bool is_rgba = photometric == YCBCR && colors == 3 &&
                       !(compression == COMPRESSION_JPEG && !decoder->is_planar);
  if (decoder->samples < colors || decoder->samples > 6 ||
      (is_small && decoder->samples > 1) || (photometric == PALETTE && decoder->bits == 16) ||
      (photometric == YCBCR && (decoder->bits != 8 || decoder->samples != colors))) {
    snprintf(
        message->text, sizeof message->text, "%u samples of %u bits a pixel in colours of kind %u",
        decoder->samples, decoder->bits, photometric);
    return VLM_IMAGE_UNSUPPORTED;
  }
  uint16_t extra_count = 0;
  uint16_t *extras = NULL;
  if (!library->get(tiff, TAG_EXTRA_SAMPLES, &extra_count, &extras)) extra_count = 0;
  decoder->alpha = ALPHA_NONE;
  if (decoder->samples > colors && photometric != CMYK) {
    if (extra_count == 0) {
      // RGB with an unspecified fourth sample is RGBA.
      decoder->alpha = photometric == RGB ? ALPHA_PLAIN : ALPHA_IGNORED;
    } else {
      decoder->alpha = extras[0] == 0   ? ALPHA_IGNORED
                       : extras[0] == 1 ? ALPHA_MULTIPLIED
                                        : ALPHA_PLAIN;
    }
  }
  if (photometric == PALETTE) {
    uint16_t *maps[3];
    if (!library->get(tiff, TAG_COLORMAP, &maps[0], &maps[1], &maps[2])) {
      return fail(decoder, VLM_IMAGE_CORRUPT, "the palette is missing", message);
    }
    for (int i = 0; i < 1 << decoder->bits; i++) {
      for (int c = 0; c < 3; c++) decoder->palette[i][c] = (uint8_t)(maps[c][i] >> 8);
    }
  }
  const bool has_alpha = decoder->alpha == ALPHA_PLAIN || decoder->alpha == ALPHA_MULTIPLIED;
  decoder->channels = (uint8_t)((photometric == PALETTE ? 3 : colors) + has_alpha);
  decoder->depth =
      decoder->bits == 16 && photometric != CMYK && decoder->alpha != ALPHA_MULTIPLIED ? 16 : 8;
  if (photometric == YCBCR && colors == 3 && !is_rgba) {
    // libtiff's JPEG decoder converts them to RGB.
    if (!library->set(tiff, TAG_JPEG_COLOR_MODE, 1)) {
      return fail(decoder, VLM_IMAGE_CORRUPT, "the JPEG tables are damaged", message);
    }
  }
  const bool is_tiled = library->is_tiled(tiff) != 0;
  if (is_rgba) {
    decoder->way = is_tiled ? BY_RGBA_TILE : BY_RGBA_STRIP;
    // Otherwise libtiff would apply the orientation to each strip separately.
    library->set(tiff, TAG_ORIENTATION, 1);
  } else {
    decoder->way = is_tiled ? BY_TILE : decoder->is_planar ? BY_STRIP : BY_SCANLINE;
  }
  return VLM_IMAGE_OK;
}

// Computes the sizes of a band and its pieces, and checks them before anything is allocated.
static vlm_image_status measure(
    vlm_tiff *decoder, size_t maximum_pixels, uint64_t *working, vlm_image_message *message) {
  TIFF *tiff = decoder->tiff;
  const bool is_tiled = decoder->way == BY_TILE || decoder->way == BY_RGBA_TILE;
  uint64_t across = decoder->width;
  if (is_tiled) {
    decoder->tile_width = number(tiff, TAG_TILE_WIDTH, 0);
    decoder->band_rows = number(tiff, TAG_TILE_HEIGHT, 0);
    if (decoder->tile_width == 0 || decoder->band_rows == 0) {
      return fail(decoder, VLM_IMAGE_CORRUPT, "tiles without a size", message);
    }
    const uint64_t tiles = ((uint64_t)decoder->width - 1) / decoder->tile_width + 1;
    across = tiles * decoder->tile_width;
  } else {
    const uint32_t rows = number(tiff, TAG_ROWS_PER_STRIP, decoder->height);
    decoder->band_rows = rows == 0 || rows > decoder->height ? decoder->height : rows;
  }
  const bool is_whole_band = decoder->way != BY_SCANLINE;
  const uint64_t rows = is_whole_band ? decoder->band_rows : 1;
  // Each factor is below 2^33, so the products fit into 64 bits.
  if (across > maximum_pixels / rows) {
    return fail(NULL, VLM_IMAGE_UNSUPPORTED, "strips or tiles of too many pixels", message);
  }
  const uint64_t pixel_bits = decoder->way >= BY_RGBA_STRIP
                                  ? 32
                                  : (uint64_t)decoder->bits * decoder->samples;
  decoder->band_stride = (size_t)((across * pixel_bits + 7) / 8);
  const uint64_t band = decoder->band_stride * rows;
  uint64_t piece = 0;
  if (decoder->way == BY_RGBA_STRIP) piece = band;
  if (decoder->way == BY_RGBA_TILE) piece = (uint64_t)decoder->tile_width * rows * 4;
  if (decoder->way == BY_STRIP) piece = library->strip_size(tiff);
  if (decoder->way == BY_TILE) piece = library->tile_size(tiff);
  if (decoder->way == BY_SCANLINE && library->scanline_size(tiff) != decoder->band_stride) {
    return fail(decoder, VLM_IMAGE_UNSUPPORTED, "rows of an unexpected size", message);
  }
  const uint64_t plane = decoder->is_planar ? decoder->samples : 1;
  if (decoder->way == BY_TILE &&
      ((decoder->tile_width * pixel_bits) % 8 != 0 ||
       piece != decoder->tile_width * pixel_bits / 8 / plane * rows)) {
    return fail(decoder, VLM_IMAGE_UNSUPPORTED, "tiles of an unexpected size", message);
  }
  if (decoder->way == BY_STRIP && piece != band / plane) {
    return fail(decoder, VLM_IMAGE_UNSUPPORTED, "strips of an unexpected size", message);
  }
  decoder->piece_size = (size_t)piece;
  // Plus the memory of libtiff's codecs, of the order of a row, a tile or a strip.
  *working = band + 2 * piece + 96 * (uint64_t)decoder->width + (1u << 18);
  return VLM_IMAGE_OK;
}

static vlm_image_status read_header(
    vlm_tiff *decoder, size_t maximum_pixels, vlm_tiff_header *header,
    vlm_image_message *message) {
  void *options = library->options_alloc();
  if (!options) return fail(NULL, VLM_IMAGE_NO_MEMORY, "out of memory", message);
  library->options_on_error(options, keep_error, decoder);
  library->options_on_warning(options, keep_warning, decoder);
  // libtiff's largest legitimate allocation: the pixels of a strip, or the file's tags.
  const size_t pixels = maximum_pixels < 1u << 27 ? maximum_pixels : 1u << 27;
  const size_t largest = pixels * 16 + decoder->count + (1u << 20);
  library->options_max_alloc(options, largest < 1u << 31 ? (ssize_t)largest : 1ll << 31);
  decoder->tiff = library->open(
      "TIFF", "r", decoder, read_bytes, write_bytes, seek_bytes, close_bytes, size_bytes,
      map_bytes, unmap_bytes, options);
  library->options_free(options);
  if (!decoder->tiff) return fail(decoder, VLM_IMAGE_CORRUPT, "no directory", message);
  TIFF *tiff = decoder->tiff;
  memset(header, 0, sizeof *header);
  decoder->width = header->width = number(tiff, TAG_WIDTH, 0);
  decoder->height = header->height = number(tiff, TAG_HEIGHT, 0);
  if (header->width == 0 || header->height == 0) {
    return fail(decoder, VLM_IMAGE_CORRUPT, "a picture without a size", message);
  }
  if (header->height > maximum_pixels / header->width) return VLM_IMAGE_OK;
  uint16_t orientation = 0;
  if (library->get(tiff, TAG_ORIENTATION, &orientation)) header->orientation = orientation;
  uint32_t xmp_count = 0;
  void *xmp = NULL;
  if (library->get(tiff, TAG_XMP, &xmp_count, &xmp)) {
    header->xmp.bytes = xmp;
    header->xmp.count = xmp_count;
  }
  vlm_image_status status = understand(decoder, message);
  if (status != VLM_IMAGE_OK) return status;
  status = measure(decoder, maximum_pixels, &header->working_bytes, message);
  if (status != VLM_IMAGE_OK) return status;
  header->channels = decoder->channels;
  header->depth = decoder->depth;
  header->is_cmyk = decoder->photometric == CMYK;
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_tiff_open(
    const uint8_t *bytes, size_t count, size_t maximum_pixels, vlm_tiff **result,
    vlm_tiff_header *header, vlm_image_message *message) {
  *result = NULL;
  vlm_tiff *decoder = calloc(1, sizeof *decoder);
  if (!decoder) return fail(NULL, VLM_IMAGE_NO_MEMORY, "out of memory", message);
  decoder->bytes = bytes;
  decoder->count = count;
  const vlm_image_status status = read_header(decoder, maximum_pixels, header, message);
  if (status == VLM_IMAGE_OK) {
    *result = decoder;
  } else {
    vlm_tiff_close(decoder);
  }
  return status;
}

// Copies a piece into the band: a tile to its columns, a plane to its sample, RGBA rows in the
// right order.
static void place(vlm_tiff *decoder, uint32_t x, uint16_t sample, uint32_t rows) {
  const size_t sample_bytes = decoder->bits == 16 ? 2 : 1;
  const size_t pixel = sample_bytes * decoder->samples;
  for (uint32_t y = 0; y < rows; y++) {
    uint8_t *to = decoder->band + y * decoder->band_stride;
    if (decoder->way >= BY_RGBA_STRIP) {
      const bool is_tile = decoder->way == BY_RGBA_TILE;
      const uint32_t columns = is_tile ? decoder->tile_width : decoder->width;
      const uint32_t last = (is_tile ? decoder->band_rows : rows) - 1;
      const uint8_t *from = decoder->piece + (size_t)(last - y) * columns * 4;
      memcpy(to + (size_t)x * 4, from, (size_t)columns * 4);
    } else {
      const size_t columns = decoder->way == BY_TILE ? decoder->tile_width : decoder->width;
      const size_t bits = (size_t)decoder->bits * (decoder->is_planar ? 1 : decoder->samples);
      const size_t from_stride = (columns * bits + 7) / 8;
      const uint8_t *from = decoder->piece + y * from_stride;
      if (!decoder->is_planar) {
        memcpy(to + (size_t)x * bits / 8, from, from_stride);
      } else {
        to += x * pixel + sample * sample_bytes;
        for (size_t i = 0; i < columns; i++) {
          memcpy(to + i * pixel, from + i * sample_bytes, sample_bytes);
        }
      }
    }
  }
}

static bool read_piece(vlm_tiff *decoder, uint32_t x, uint32_t y, uint16_t sample) {
  TIFF *tiff = decoder->tiff;
  const ssize_t size = (ssize_t)decoder->piece_size;
  decoder->is_damaged = false;
  memset(decoder->piece, 0, decoder->piece_size);
  bool is_read = false;
  switch (decoder->way) {
    case BY_STRIP:
      is_read = library->read_strip(tiff, library->strip_of(tiff, y, sample), decoder->piece, size) > 0;
      break;
    case BY_TILE:
      is_read =
          library->read_tile(tiff, library->tile_of(tiff, x, y, 0, sample), decoder->piece, size) > 0;
      break;
    case BY_RGBA_STRIP:
      is_read = library->read_rgba_strip(tiff, y, (uint32_t *)(void *)decoder->piece, 1) != 0;
      break;
    case BY_RGBA_TILE:
      is_read = library->read_rgba_tile(tiff, x, y, (uint32_t *)(void *)decoder->piece, 1) != 0;
      break;
    case BY_SCANLINE:
      break;
  }
  return is_read && !decoder->is_damaged;
}

// Decodes the strip or the row of tiles that starts at the next row; returns whether it is
// complete.
static bool read_band(vlm_tiff *decoder) {
  const uint32_t y = decoder->next_row;
  const uint32_t rest = decoder->height - y;
  const uint32_t rows = rest < decoder->band_rows ? rest : decoder->band_rows;
  const bool is_tiled = decoder->way == BY_TILE || decoder->way == BY_RGBA_TILE;
  const uint32_t step = is_tiled ? decoder->tile_width : decoder->width;
  const bool is_planar = decoder->is_planar && decoder->way < BY_RGBA_STRIP;
  const uint16_t planes = is_planar ? decoder->samples : 1;
  bool is_whole = true;
  for (uint64_t x = 0; x < decoder->width; x += step) {
    for (uint16_t sample = 0; sample < planes; sample++) {
      if (!read_piece(decoder, (uint32_t)x, y, sample)) is_whole = false;
      place(decoder, (uint32_t)x, sample, rows);
    }
  }
  decoder->band_end = y + rows;
  return is_whole;
}

// The next row in libtiff's layout; NULL if it is lost.
static const uint8_t *next_row(vlm_tiff *decoder) {
  const uint32_t y = decoder->next_row;
  if (decoder->way == BY_SCANLINE) {
    if (y < decoder->bad_until) return NULL;
    decoder->is_damaged = false;
    if (library->read_scanline(decoder->tiff, decoder->band, y, 0) > 0 && !decoder->is_damaged) {
      return decoder->band;
    }
    // Decoding restarts at the next strip.
    const uint64_t end = ((uint64_t)y / decoder->band_rows + 1) * decoder->band_rows;
    decoder->bad_until = end < decoder->height ? (uint32_t)end : decoder->height;
    return NULL;
  }
  if (y >= decoder->band_end && !read_band(decoder)) decoder->bad_until = decoder->band_end;
  // The decoded part of a damaged band is returned, but its rows count as lost.
  return decoder->band + (size_t)(y % decoder->band_rows) * decoder->band_stride;
}

static uint8_t small_sample(const uint8_t *row, size_t index, unsigned bits) {
  const size_t per_byte = 8 / bits;
  const unsigned shift = 8 - bits * (unsigned)(index % per_byte + 1);
  return (uint8_t)(row[index / per_byte] >> shift & ((1u << bits) - 1));
}

static uint8_t divided(uint8_t color, uint8_t alpha) {
  if (alpha == 0 || alpha == 255) return color;
  const unsigned value = 255u * color / alpha;
  return (uint8_t)(value > 255 ? 255 : value);
}

// Unpacks a row of samples of up to 8 bits, or the upper bytes of 16-bit ones.
static void convert_eight(const vlm_tiff *decoder, const uint8_t *row, uint8_t *to) {
  const bool is_rgba = decoder->way >= BY_RGBA_STRIP;
  const size_t step = is_rgba ? 4 : decoder->samples;
  const unsigned bits = decoder->bits;
  const bool is_wide = bits == 16;
  const bool has_alpha = decoder->alpha == ALPHA_PLAIN || decoder->alpha == ALPHA_MULTIPLIED;
  const size_t colors = (size_t)decoder->channels - has_alpha;
  const uint16_t *words = (const uint16_t *)(const void *)row;
  for (size_t x = 0; x < decoder->width; x++, to += decoder->channels) {
    uint8_t pixel[6];
    for (size_t c = 0; c < step; c++) {
      const size_t index = x * step + c;
      pixel[c] = is_wide    ? (uint8_t)(words[index] >> 8)
                 : bits < 8 ? small_sample(row, index, bits)
                            : row[index];
    }
    const uint8_t alpha = has_alpha ? pixel[decoder->photometric == PALETTE ? 1 : colors] : 255;
    for (size_t c = 0; c < colors; c++) {
      uint8_t value;
      if (decoder->photometric == PALETTE) {
        value = decoder->palette[pixel[0]][c];
      } else if (bits < 8) {
        value = (uint8_t)(pixel[c] * (255u / ((1u << bits) - 1)));
      } else {
        value = pixel[c];
      }
      if (decoder->photometric == WHITE_IS_ZERO || decoder->photometric == CMYK) {
        value = (uint8_t)(255 - value);
      }
      to[c] = decoder->alpha == ALPHA_MULTIPLIED ? divided(value, alpha) : value;
    }
    if (has_alpha) to[colors] = alpha;
  }
}

static void convert_sixteen(const vlm_tiff *decoder, const uint8_t *row, uint16_t *to) {
  const uint16_t *words = (const uint16_t *)(const void *)row;
  const bool is_inverted = decoder->photometric == WHITE_IS_ZERO;
  for (size_t x = 0; x < decoder->width; x++) {
    for (size_t c = 0; c < decoder->channels; c++) {
      const uint16_t value = words[x * decoder->samples + c];
      *to++ = is_inverted && c == 0 ? (uint16_t)(65535 - value) : value;
    }
  }
}

vlm_image_status vlm_tiff_read_rows(
    vlm_tiff *decoder, void *samples, size_t rows, bool accepts_damage, uint32_t *lost_rows,
    vlm_image_message *message) {
  if (!decoder->band) {
    const bool is_whole_band = decoder->way != BY_SCANLINE;
    decoder->band = calloc(is_whole_band ? decoder->band_rows : 1, decoder->band_stride);
    if (decoder->piece_size) decoder->piece = malloc(decoder->piece_size);
    if (!decoder->band || (decoder->piece_size && !decoder->piece)) {
      return fail(NULL, VLM_IMAGE_NO_MEMORY, "out of memory", message);
    }
  }
  const size_t stride = (size_t)decoder->width * decoder->channels * (decoder->depth / 8);
  for (size_t i = 0; i < rows; i++) {
    uint8_t *to = (uint8_t *)samples + i * stride;
    const uint8_t *row = next_row(decoder);
    if (!row || decoder->next_row < decoder->bad_until) {
      if (!accepts_damage) {
        return fail(decoder, VLM_IMAGE_DAMAGED, "a strip or tile cannot be read", message);
      }
      ++*lost_rows;
    }
    if (!row) {
      memset(to, 0, stride);
    } else if (decoder->depth == 16) {
      convert_sixteen(decoder, row, (uint16_t *)(void *)to);
    } else {
      convert_eight(decoder, row, to);
    }
    decoder->next_row++;
  }
  return VLM_IMAGE_OK;
}
