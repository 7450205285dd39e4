// WebP, TIFF, HEIC and AVIF to samples, as image_codecs.h does it for PNG and JPEG.
//
// libwebp is linked. libtiff and libheif, which bring many others along, are loaded when the first
// picture needs them; their declarations are our own, so that nothing is needed to build.

#ifndef IMAGE_LIBRARIES_H
#define IMAGE_LIBRARIES_H

#include "image_codecs.h"

// A part of the bytes that a decoder was opened over; NULL where the file has none.
typedef struct {
  const uint8_t *bytes;
  size_t count;
} vlm_image_part;

typedef struct {
  // Of the canvas.
  uint32_t width, height;
  bool has_alpha;
  // The file ends early, but not before the end of the first frame.
  bool lacks_end;
  vlm_image_part exif, xmp;
} vlm_webp_header;

typedef struct vlm_webp vlm_webp;

// Reads the structure of the file. On failure `*decoder` is NULL.
vlm_image_status vlm_webp_open(
    const uint8_t *bytes, size_t count, vlm_webp **decoder, vlm_webp_header *header,
    vlm_image_message *message);

// The first frame on its canvas, which is transparent black beside it: width * height pixels of 3
// channels, 4 with alpha. `*rows` is how many rows of the canvas are as the file has them: all, or
// fewer where the data ends or breaks off, which is VLM_IMAGE_DAMAGED; the others are zeros.
vlm_image_status vlm_webp_read(
    vlm_webp *decoder, uint8_t *samples, uint32_t *rows, vlm_image_message *message);

void vlm_webp_close(vlm_webp *decoder);

// Why libtiff or libheif cannot be used: the loader's words; NULL when it can.
const char *vlm_tiff_load(void);
const char *vlm_heif_load(void);

typedef struct {
  uint32_t width, height;
  // 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA or inverted CMYK.
  uint8_t channels;
  bool is_cmyk;
  // 8 or 16.
  uint8_t depth;
  // The value of tag 274; 0 where it is absent.
  uint16_t orientation;
  vlm_image_part xmp;
  // Bytes that decoding holds beside the rows.
  uint64_t working_bytes;
} vlm_tiff_header;

typedef struct vlm_tiff vlm_tiff;

// Reads the first directory; vlm_tiff_load has returned NULL. A tile row or a strip of more than
// `maximum_pixels` fails. On failure `*decoder` is NULL.
vlm_image_status vlm_tiff_open(
    const uint8_t *bytes, size_t count, size_t maximum_pixels, vlm_tiff **decoder,
    vlm_tiff_header *header, vlm_image_message *message);

// The next `rows` rows, in host order. With `accepts_damage`, rows that cannot be had are zeros and
// are added to `*lost_rows`; else they are VLM_IMAGE_DAMAGED.
vlm_image_status vlm_tiff_read_rows(
    vlm_tiff *decoder, void *samples, size_t rows, bool accepts_damage, uint32_t *lost_rows,
    vlm_image_message *message);

void vlm_tiff_close(vlm_tiff *decoder);

typedef struct {
  // As it is seen: turned as the file says.
  uint32_t width, height;
  bool has_alpha;
} vlm_heif_header;

typedef struct vlm_heif vlm_heif;

// Reads the structure of the file and finds its primary picture; vlm_heif_load has returned NULL.
// On failure `*decoder` is NULL; VLM_IMAGE_UNSUPPORTED and an empty message where the library has
// no decoder for the format.
vlm_image_status vlm_heif_open(
    const uint8_t *bytes, size_t count, bool is_av1, vlm_heif **decoder, vlm_heif_header *header,
    vlm_image_message *message);

// Decodes the picture and keeps it. 8 bits a sample.
vlm_image_status vlm_heif_decode(vlm_heif *decoder, vlm_image_message *message);

// Row `y` of what was decoded: 3 channels, 4 with alpha, which colours are not multiplied by.
void vlm_heif_row(const vlm_heif *decoder, uint32_t y, uint8_t *samples);

void vlm_heif_close(vlm_heif *decoder);

#endif
