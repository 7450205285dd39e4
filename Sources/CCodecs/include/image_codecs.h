// PNG and JPEG decoding, and Pillow's resampling passes.
//
// libpng and libjpeg report errors by longjmp; every setjmp and every frame that is jumped over is
// in this target. The life of a decoder: it is opened over bytes that the caller keeps alive and
// reports its header before allocating anything for pixels; rows are read from top to bottom; it is
// finished, which checks the rest of the file; it is closed. After a failure it can only be closed.

#ifndef IMAGE_CODECS_H
#define IMAGE_CODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLM_IMAGE_MESSAGE_MAX 240

typedef enum {
  VLM_IMAGE_OK = 0,
  // The file is damaged or truncated.
  VLM_IMAGE_CORRUPT = 1,
  // Valid, but a variant that the library does not decode.
  VLM_IMAGE_UNSUPPORTED = 2,
  VLM_IMAGE_NO_MEMORY = 3,
  // As VLM_IMAGE_CORRUPT, but some rows can be decoded if damage is accepted.
  VLM_IMAGE_DAMAGED = 4,
} vlm_image_status;

// The library's message if a call did not return VLM_IMAGE_OK; always null-terminated.
typedef struct {
  char text[VLM_IMAGE_MESSAGE_MAX];
} vlm_image_message;

// Damage of a file that was accepted.
typedef struct {
  // All rows are present, but the file ends before its end marker.
  bool lacks_end;
  // A wrong checksum was accepted.
  bool has_bad_checksum;
  // Number of rows that the decoder filled in, completely or partly.
  uint32_t lost_rows;
  // The library's message about the first loss.
  vlm_image_message message;
} vlm_image_damage;

typedef struct {
  uint32_t width, height;
  // As in IHDR: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
  uint8_t color_type;
  // 1, 2, 4, 8 or 16 bits per sample.
  uint8_t bit_depth;
  // Interlaced: the rows come in seven passes, so reading the first row decodes and holds all of
  // them, as stored: height * ceil(width * channels * bit_depth / 8) bytes.
  bool is_interlaced;
  // Number of entries in PLTE (colour type 3), and in its tRNS; the rest of `palette` is opaque
  // black.
  uint16_t palette_count, palette_alpha_count;
  uint8_t palette[256][4];
  // The transparent colour (tRNS) of gray (key[0]) and RGB images, in samples of `bit_depth`.
  bool has_key;
  uint16_t key[3];
} vlm_png_header;

typedef struct vlm_png vlm_png;

// Reads up to the first IDAT. On failure `*decoder` is NULL. With `accepts_damage`, wrong checksums
// are accepted, and samples that cannot be decoded are 0.
vlm_image_status vlm_png_open(
    const uint8_t *bytes, size_t count, bool accepts_damage, vlm_png **decoder,
    vlm_png_header *header, vlm_image_message *message);

// Returns the next `rows` rows as stored: one byte per sample, two in host byte order at depth 16;
// samples below 8 bits are unpacked but not scaled. `row_size` is width * channels * bytes.
vlm_image_status vlm_png_read_rows(
    vlm_png *decoder, uint8_t *samples, size_t row_size, size_t rows, vlm_image_message *message);

// Fails unless all rows were read and the rest of the file is intact up to IEND, or up to its end.
vlm_image_status vlm_png_finish(
    vlm_png *decoder, vlm_image_damage *damage, vlm_image_message *message);

void vlm_png_close(vlm_png *decoder);

// Encodes interleaved 8-bit RGB as a PNG file, to be freed by the caller; NULL if out of memory.
uint8_t *vlm_png_write_rgb8(
    const uint8_t *samples, uint32_t width, uint32_t height, size_t *count);

typedef struct {
  uint32_t width, height;
  // 1 gray, 3 RGB, 4 CMYK as stored (Adobe's files are inverted).
  uint8_t channels;
  // Whether the image has several scans, as a progressive one.
  bool has_scans;
  // Memory of the decoder besides the rows, in bytes; with several scans, all coefficients.
  uint64_t working_bytes;
} vlm_jpeg_header;

typedef struct vlm_jpeg vlm_jpeg;

// Reads up to the first scan. On failure `*decoder` is NULL. More than `maximum_scans` scans are an
// error, and so is every warning that means lost or invented pixels, unless `accepts_damage`.
vlm_image_status vlm_jpeg_open(
    const uint8_t *bytes, size_t count, int maximum_scans, bool accepts_damage, vlm_jpeg **decoder,
    vlm_jpeg_header *header, vlm_image_message *message);

// Decodes at reduced size, `eighths` of 8 (1 to 8) of each side, rounded up, by omitting
// high-frequency coefficients. Called before the first row. Returns the new size.
vlm_image_status vlm_jpeg_scale(
    vlm_jpeg *decoder, int eighths, vlm_jpeg_header *header, vlm_image_message *message);

// Returns the next `rows` rows of 8-bit samples; `row_size` is width * channels.
vlm_image_status vlm_jpeg_read_rows(
    vlm_jpeg *decoder, uint8_t *samples, size_t row_size, size_t rows,
    vlm_image_message *message);

// Fails unless all rows were read and the rest of the file is intact up to its
// end-of-image marker, or up to its end.
vlm_image_status vlm_jpeg_finish(
    vlm_jpeg *decoder, vlm_image_damage *damage, vlm_image_message *message);

void vlm_jpeg_close(vlm_jpeg *decoder);

// Whether an allocation of this size would succeed now.
bool vlm_image_can_allocate(size_t size);

// Returns free memory held by the allocator to the system.
void vlm_image_release_memory(void);

// One output sample of a pass: taps first ... first + count - 1, with weights starting at
// weights[offset].
typedef struct {
  int32_t first, count, offset;
} vlm_taps;

// Pillow's horizontal pass over interleaved 8-bit RGB, of an image with one colour around it:
//   out[y][i][c] = clamp((2^21 + fill[c] * fill_weights[i]
//                         + sum_t in[y][taps[i].first + t][c] * weights[taps[i].offset + t]) >> 22)
// `in` has in_width pixels a row, `out` out_width.
void vlm_resample_rows_rgb8(
    const uint8_t *in, size_t in_width, uint8_t *out, size_t out_width, size_t rows,
    const vlm_taps *taps, const int32_t *weights, const int32_t *fill_weights,
    const uint8_t fill[3]);

// The vertical pass, a few rows at a time: the sums of a row begin with
//   sums[x] = 2^21 + fill[x] * fill_weight,
// take in rows of `stride` samples,
//   sums[x] += sum_t in[t * stride + x] * weights[t],
// and end as out[x] = clamp(sums[x] >> 22).
void vlm_resample_begin(
    int32_t *sums, size_t count, const uint8_t *fill, int32_t fill_weight);
void vlm_resample_add(
    int32_t *sums, size_t count, const uint8_t *in, size_t stride, size_t rows,
    const int32_t *weights);
void vlm_resample_end(const int32_t *sums, size_t count, uint8_t *out);

#endif
