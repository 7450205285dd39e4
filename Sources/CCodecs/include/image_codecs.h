// PNG and JPEG to samples, and Pillow's resampling passes.
//
// libpng and libjpeg report errors by longjmp; every setjmp and every frame that is jumped over
// lives in this target. A decoder is opened over bytes that the caller keeps alive, tells its
// header before anything is allocated for pixels, reads its rows from the top down, is finished,
// which checks the rest of the file, and is closed. After a failure it can only be closed.

#ifndef IMAGE_CODECS_H
#define IMAGE_CODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLM_IMAGE_MESSAGE_MAX 240

typedef enum {
  VLM_IMAGE_OK = 0,
  // The bytes break the format's rules, or end early.
  VLM_IMAGE_CORRUPT = 1,
  // Valid, but of a kind that the library does not decode.
  VLM_IMAGE_UNSUPPORTED = 2,
  VLM_IMAGE_NO_MEMORY = 3,
  // As VLM_IMAGE_CORRUPT, but some rows can be had where damage is accepted.
  VLM_IMAGE_DAMAGED = 4,
} vlm_image_status;

// What the library said when a call did not return VLM_IMAGE_OK; always terminated.
typedef struct {
  char text[VLM_IMAGE_MESSAGE_MAX];
} vlm_image_message;

// What a file lacks that was read all the same.
typedef struct {
  // Every row is there, but the file ends before its end marker.
  bool lacks_end;
  // A checksum is wrong, which was let pass.
  bool has_bad_checksum;
  // Rows that the decoder filled, or a part of them.
  uint32_t lost_rows;
  // The library's words about the first loss.
  vlm_image_message message;
} vlm_image_damage;

typedef struct {
  uint32_t width, height;
  // As IHDR has it: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
  uint8_t color_type;
  // 1, 2, 4, 8 or 16 bits per sample.
  uint8_t bit_depth;
  // The rows come in seven passes, so that reading the first one reads and holds all of them, as
  // the file has them: height * ceil(width * channels * bit_depth / 8) bytes.
  bool is_interlaced;
  // Entries of PLTE (colour type 3), and of its tRNS; the rest of `palette` is opaque black.
  uint16_t palette_count, palette_alpha_count;
  uint8_t palette[256][4];
  // tRNS of gray (key[0]) and RGB images, in samples of `bit_depth`.
  bool has_key;
  uint16_t key[3];
} vlm_png_header;

typedef struct vlm_png vlm_png;

// Reads up to the first IDAT. On failure `*decoder` is NULL. With `accepts_damage` wrong checksums
// pass, and samples that cannot be had are 0.
vlm_image_status vlm_png_open(
    const uint8_t *bytes, size_t count, bool accepts_damage, vlm_png **decoder,
    vlm_png_header *header, vlm_image_message *message);

// The next `rows` rows as the file has them: one byte a sample, two in host order when the depth is
// 16, samples below 8 bits unpacked and not scaled. `row_size` is width * channels * bytes.
vlm_image_status vlm_png_read_rows(
    vlm_png *decoder, uint8_t *samples, size_t row_size, size_t rows, vlm_image_message *message);

// Fails unless all rows were read and the rest of the file is sound up to IEND, or up to its end.
vlm_image_status vlm_png_finish(
    vlm_png *decoder, vlm_image_damage *damage, vlm_image_message *message);

void vlm_png_close(vlm_png *decoder);

// A PNG file of interleaved 8-bit RGB, to be freed by the caller; NULL when memory is short.
uint8_t *vlm_png_write_rgb8(
    const uint8_t *samples, uint32_t width, uint32_t height, size_t *count);

typedef struct {
  uint32_t width, height;
  // 1 gray, 3 RGB, 4 CMYK as the file has it (Adobe writes it inverted).
  uint8_t channels;
  // Whether the picture comes in several scans, as a progressive one does.
  bool has_scans;
  // Bytes that the decoder holds beside the rows; of several scans, all coefficients.
  uint64_t working_bytes;
} vlm_jpeg_header;

typedef struct vlm_jpeg vlm_jpeg;

// Reads up to the first scan. On failure `*decoder` is NULL. More than `maximum_scans` scans fail,
// and so does every warning that means lost or invented pixels, unless `accepts_damage`.
vlm_image_status vlm_jpeg_open(
    const uint8_t *bytes, size_t count, int maximum_scans, bool accepts_damage, vlm_jpeg **decoder,
    vlm_jpeg_header *header, vlm_image_message *message);

// Makes the picture smaller while it is decoded, `eighths` of 8 (1 to 8) of its sides rounded up,
// by leaving out the finer coefficients; before the first row. Tells the new sides.
vlm_image_status vlm_jpeg_scale(
    vlm_jpeg *decoder, int eighths, vlm_jpeg_header *header, vlm_image_message *message);

// The next `rows` rows of 8-bit samples; `row_size` is width * channels.
vlm_image_status vlm_jpeg_read_rows(
    vlm_jpeg *decoder, uint8_t *samples, size_t row_size, size_t rows,
    vlm_image_message *message);

// Fails unless all rows were read and the rest of the file is sound up to its end of image, or up to
// its end.
vlm_image_status vlm_jpeg_finish(
    vlm_jpeg *decoder, vlm_image_damage *damage, vlm_image_message *message);

void vlm_jpeg_close(vlm_jpeg *decoder);

// Whether an allocation of this size would succeed now.
bool vlm_image_can_allocate(size_t size);

// Gives memory that the allocator keeps free back to the system.
void vlm_image_release_memory(void);

// One output sample of a pass: taps first ... first + count - 1, the weights from
// weights[offset] on.
typedef struct {
  int32_t first, count, offset;
} vlm_taps;

// Pillow's horizontal pass over interleaved 8-bit RGB, of a picture with one colour around it:
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
