// WebP, TIFF, HEIC and AVIF decoding, with the conventions of image_codecs.h.
//
// libwebp is linked. libtiff and libheif, which depend on many other libraries, are loaded when
// first needed. Their declarations are our own, so their headers are not needed to build.

#ifndef IMAGE_LIBRARIES_H
#define IMAGE_LIBRARIES_H

#include "image_codecs.h"

// A part of the decoder's input; NULL if the file has no such part.
typedef struct {
  const uint8_t *bytes;
  size_t count;
} vlm_image_part;

typedef struct {
  // Size of the canvas.
  uint32_t width, height;
  bool has_alpha;
  // The file is truncated, but after the end of the first frame.
  bool lacks_end;
  vlm_image_part exif, xmp;
} vlm_webp_header;

typedef struct vlm_webp vlm_webp;

// Reads the structure of the file. On failure `*decoder` is NULL.
vlm_image_status vlm_webp_open(
    const uint8_t *bytes, size_t count, vlm_webp **decoder, vlm_webp_header *header,
    vlm_image_message *message);

// Decodes the first frame onto its canvas, which is transparent black elsewhere: width * height
// pixels of 3 channels, 4 with alpha. `*rows` is the number of valid canvas rows: all, or fewer if
// the data is truncated or damaged, with VLM_IMAGE_DAMAGED; the others are zeros.
vlm_image_status vlm_webp_read(
    vlm_webp *decoder, uint8_t *samples, uint32_t *rows, vlm_image_message *message);

void vlm_webp_close(vlm_webp *decoder);

// Why libtiff or libheif cannot be used, as the loader's message; NULL if it can.
const char *vlm_tiff_load(void);
const char *vlm_heif_load(void);

typedef struct {
  uint32_t width, height;
  // 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA or inverted CMYK.
  uint8_t channels;
  bool is_cmyk;
  // 8 or 16.
  uint8_t depth;
  // The value of tag 274 (orientation); 0 if absent.
  uint16_t orientation;
  vlm_image_part xmp;
  // Memory of decoding besides the rows, in bytes.
  uint64_t working_bytes;
} vlm_tiff_header;

typedef struct vlm_tiff vlm_tiff;

// Reads the first directory. Requires that vlm_tiff_load has returned NULL. A tile row or a strip
// of more than `maximum_pixels` is an error. On failure `*decoder` is NULL.
vlm_image_status vlm_tiff_open(
    const uint8_t *bytes, size_t count, size_t maximum_pixels, vlm_tiff **decoder,
    vlm_tiff_header *header, vlm_image_message *message);

// Returns the next `rows` rows in host byte order. With `accepts_damage`, rows that cannot be
// decoded are zeros and are added to `*lost_rows`; otherwise they cause VLM_IMAGE_DAMAGED.
vlm_image_status vlm_tiff_read_rows(
    vlm_tiff *decoder, void *samples, size_t rows, bool accepts_damage, uint32_t *lost_rows,
    vlm_image_message *message);

void vlm_tiff_close(vlm_tiff *decoder);

typedef struct {
  // Displayed size, after the file's rotation.
  uint32_t width, height;
  bool has_alpha;
} vlm_heif_header;

typedef struct vlm_heif vlm_heif;

// Reads the structure of the file and finds its primary image. Requires that vlm_heif_load has
// returned NULL. On failure `*decoder` is NULL; VLM_IMAGE_UNSUPPORTED with an empty message if the
// library has no decoder for the format.
vlm_image_status vlm_heif_open(
    const uint8_t *bytes, size_t count, bool is_av1, vlm_heif **decoder, vlm_heif_header *header,
    vlm_image_message *message);

// Decodes the image and keeps it, 8 bits per sample.
vlm_image_status vlm_heif_decode(vlm_heif *decoder, vlm_image_message *message);

// Row `y` of the decoded image: 3 channels, or 4 with straight alpha.
void vlm_heif_row(const vlm_heif *decoder, uint32_t y, uint8_t *samples);

void vlm_heif_close(vlm_heif *decoder);

#endif
