// Decodes JPEG from memory with libjpeg-turbo and the default settings, which Pillow also uses:
// accurate integer IDCT, fancy upsampling, no colour quantization.

// jpeglib.h requires FILE and size_t.
#include <stddef.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "include/image_codecs.h"

struct vlm_jpeg {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  vlm_image_message message;
  vlm_image_status status;
  int maximum_scans;
  bool is_started;
  bool accepts_damage;
  // libjpeg reached the end of the file early and continued as if the end of the image were there.
  bool is_at_end;
  // libjpeg has failed; the rows not yet delivered are black.
  bool is_broken;
  // The first row below those counted as lost.
  uint32_t lost_end;
  vlm_image_damage damage;
};

static const char early_end[] = "Premature end of JPEG file";

static _Noreturn void fail(vlm_jpeg *decoder, vlm_image_status status, const char *text) {
  decoder->status = status;
  snprintf(decoder->message.text, sizeof decoder->message.text, "%s", text);
  longjmp(decoder->escape, 1);
}

static _Noreturn void fail_with_code(j_common_ptr info) {
  vlm_jpeg *decoder = info->client_data;
  char text[JMSG_LENGTH_MAX];
  decoder->errors.format_message(info, text);
  vlm_image_status status = VLM_IMAGE_CORRUPT;
  switch (decoder->errors.msg_code) {
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
      status = VLM_IMAGE_NO_MEMORY;
      break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_COMPONENT_COUNT:
      status = VLM_IMAGE_UNSUPPORTED;
      break;
    default:
      break;
  }
  fail(decoder, status, decoder->is_at_end && status == VLM_IMAGE_CORRUPT ? early_end : text);
}

// Counts as lost the rows from the current one to the next restart marker, or to the end.
static void count_loss(vlm_jpeg *decoder) {
  struct jpeg_decompress_struct *info = &decoder->info;
  if (decoder->damage.lost_rows == 0) {
    if (decoder->is_at_end) {
      memcpy(decoder->damage.message.text, early_end, sizeof early_end);
    } else {
      char text[JMSG_LENGTH_MAX];
      decoder->errors.format_message((j_common_ptr)info, text);
      snprintf(decoder->damage.message.text, sizeof decoder->damage.message.text, "%s", text);
    }
  }
  const uint64_t height = info->output_height;
  const uint64_t lines = (uint64_t)info->max_v_samp_factor * (uint64_t)info->min_DCT_scaled_size;
  uint64_t first = info->input_iMCU_row * lines, end = height;
  if (info->restart_interval && info->MCUs_per_row && !decoder->is_at_end) {
    const uint64_t rows = ((uint64_t)info->restart_interval - 1) / info->MCUs_per_row + 1;
    end = (info->input_iMCU_row + rows) * lines;
  }
  if (end > height) end = height;
  if (first < decoder->lost_end) first = decoder->lost_end;
  if (first >= end) return;
  decoder->damage.lost_rows += (uint32_t)(end - first);
  decoder->lost_end = (uint32_t)end;
}

// Level -1 is a warning, 0 and up are traces. Only the listed warnings leave all pixels intact;
// after the others libjpeg continues with invented pixels.
static void judge_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  vlm_jpeg *decoder = info->client_data;
  switch (decoder->errors.msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
      return;
    case JWRN_JPEG_EOF:
      // Whether anything is lost is determined later.
      decoder->is_at_end = true;
      return;
    default:
      if (decoder->accepts_damage) {
        count_loss(decoder);
      } else {
        char text[JMSG_LENGTH_MAX];
        decoder->errors.format_message(info, text);
        fail(decoder, VLM_IMAGE_DAMAGED, decoder->is_at_end ? early_end : text);
      }
  }
}

static void discard_message(j_common_ptr info) { (void)info; }

// Each scan of a progressive file touches every block, and a small file can contain very many
// scans.
static void count_scans(j_common_ptr info) {
  vlm_jpeg *decoder = info->client_data;
  if (decoder->info.input_scan_number > decoder->maximum_scans) {
    char text[80];
    snprintf(text, sizeof text, "more than %d scans", decoder->maximum_scans);
    fail(decoder, VLM_IMAGE_CORRUPT, text);
  }
}

void vlm_jpeg_close(vlm_jpeg *decoder) {
  if (!decoder) return;
  if (!setjmp(decoder->escape)) jpeg_destroy_decompress(&decoder->info);
  free(decoder);
}

static void read_header(vlm_jpeg *decoder, const uint8_t *bytes, size_t count) {
  struct jpeg_decompress_struct *info = &decoder->info;
  jpeg_create_decompress(info);
  // jpeg_create_decompress clears everything except the error manager and this pointer.
  info->client_data = decoder;
  jpeg_mem_src(info, bytes, count);
  jpeg_read_header(info, TRUE);
  switch (info->num_components) {
    case 1:
      info->out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      info->out_color_space = JCS_RGB;
      break;
    case 4:
      info->out_color_space = JCS_CMYK;
      break;
    default: {
      char text[80];
      snprintf(text, sizeof text, "%d colour components", info->num_components);
      fail(decoder, VLM_IMAGE_UNSUPPORTED, text);
    }
  }
  info->dct_method = JDCT_ISLOW;
  info->do_fancy_upsampling = TRUE;
}

// Memory of libjpeg besides its output rows: all coefficients of a progressive file, otherwise a
// group of rows before and after upsampling.
static uint64_t working_bytes(struct jpeg_decompress_struct *info) {
  uint64_t bytes = 0;
  for (int i = 0; i < info->num_components; i++) {
    const jpeg_component_info *part = &info->comp_info[i];
    const uint64_t across = part->width_in_blocks + (uint64_t)part->h_samp_factor - 1;
    const uint64_t down = jpeg_has_multiple_scans(info)
                              ? part->height_in_blocks + (uint64_t)part->v_samp_factor - 1
                              : (uint64_t)part->v_samp_factor;
    bytes += across * down * DCTSIZE2 * sizeof(JCOEF);
    bytes += across * DCTSIZE * DCTSIZE * (uint64_t)part->v_samp_factor * 4;
  }
  return bytes + (uint64_t)info->image_width * (uint64_t)info->num_components * 16;
}

static void tell(vlm_jpeg *decoder, vlm_jpeg_header *header) {
  struct jpeg_decompress_struct *info = &decoder->info;
  jpeg_calc_output_dimensions(info);
  header->width = info->output_width;
  header->height = info->output_height;
  header->channels = (uint8_t)info->num_components;
  header->has_scans = jpeg_has_multiple_scans(info);
  header->working_bytes = working_bytes(info);
}

vlm_image_status vlm_jpeg_open(
    const uint8_t *bytes, size_t count, int maximum_scans, bool accepts_damage, vlm_jpeg **result,
    vlm_jpeg_header *header, vlm_image_message *message) {
  *result = NULL;
  vlm_jpeg *decoder = calloc(1, sizeof *decoder);
  if (!decoder) {
    snprintf(message->text, sizeof message->text, "out of memory");
    return VLM_IMAGE_NO_MEMORY;
  }
  decoder->maximum_scans = maximum_scans;
  decoder->accepts_damage = accepts_damage;
  decoder->info.err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = fail_with_code;
  decoder->errors.emit_message = judge_message;
  decoder->errors.output_message = discard_message;
  decoder->info.client_data = decoder;
  if (setjmp(decoder->escape)) {
    *message = decoder->message;
    const vlm_image_status status = decoder->status;
    vlm_jpeg_close(decoder);
    return status;
  }
  read_header(decoder, bytes, count);
  tell(decoder, header);
  *result = decoder;
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_jpeg_scale(
    vlm_jpeg *decoder, int eighths, vlm_jpeg_header *header, vlm_image_message *message) {
  if (setjmp(decoder->escape)) {
    *message = decoder->message;
    return decoder->status;
  }
  decoder->info.scale_num = (unsigned)eighths;
  decoder->info.scale_denom = 8;
  tell(decoder, header);
  return VLM_IMAGE_OK;
}

// Whether all coefficients were received, for a file that ends where a marker is expected.
static bool is_complete(const struct jpeg_decompress_struct *info) {
  for (int i = 0; i < info->num_components; i++) {
    // Set by the component's first scan.
    if (!info->comp_info[i].quant_table) return false;
    if (!info->progressive_mode || !info->coef_bits) continue;
    for (int k = 0; k < DCTSIZE2; k++) {
      if (info->coef_bits[i][k] != 0) return false;
    }
  }
  return true;
}

static void start(vlm_jpeg *decoder) {
  decoder->progress.progress_monitor = count_scans;
  decoder->info.progress = &decoder->progress;
  jpeg_start_decompress(&decoder->info);
  decoder->is_started = true;
  if (!decoder->is_at_end || is_complete(&decoder->info)) return;
  if (!decoder->accepts_damage) fail(decoder, VLM_IMAGE_DAMAGED, early_end);
  // Every row lacks details.
  memcpy(decoder->damage.message.text, early_end, sizeof early_end);
  decoder->damage.lost_rows = decoder->lost_end = decoder->info.output_height;
}

static void read_row(vlm_jpeg *decoder, uint8_t *samples, size_t row_size) {
  struct jpeg_decompress_struct *info = &decoder->info;
  if (decoder->is_broken) {
    // In Adobe's convention, 255 means no ink.
    memset(samples, info->num_components == 4 ? 255 : 0, row_size);
    info->output_scanline++;
  } else {
    JSAMPROW to = samples;
    jpeg_read_scanlines(info, &to, 1);
  }
}

vlm_image_status vlm_jpeg_read_rows(
    vlm_jpeg *decoder, uint8_t *samples, size_t row_size, size_t rows,
    vlm_image_message *message) {
  struct jpeg_decompress_struct *info = &decoder->info;
  const uint32_t first = info->output_scanline;
  if (setjmp(decoder->escape)) {
    // Without any row there is no image.
    const bool has_rows = decoder->is_started && info->output_scanline > 0;
    if (decoder->status == VLM_IMAGE_CORRUPT && has_rows) decoder->status = VLM_IMAGE_DAMAGED;
    if (!decoder->accepts_damage || decoder->status != VLM_IMAGE_DAMAGED || decoder->is_broken) {
      *message = decoder->message;
      return decoder->status;
    }
    decoder->is_broken = true;
    if (decoder->damage.lost_rows == 0) decoder->damage.message = decoder->message;
    const uint32_t from =
        info->output_scanline > decoder->lost_end ? info->output_scanline : decoder->lost_end;
    decoder->damage.lost_rows += info->output_height - from;
    decoder->lost_end = info->output_height;
  }
  if (!decoder->is_started) start(decoder);
  if (row_size != (size_t)info->output_width * (size_t)info->output_components ||
      rows > info->output_height - first) {
    fail(decoder, VLM_IMAGE_CORRUPT, "rows of an unexpected size");
  }
  while (info->output_scanline - first < rows) {
    read_row(decoder, samples + (info->output_scanline - first) * row_size, row_size);
  }
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_jpeg_finish(
    vlm_jpeg *decoder, vlm_image_damage *damage, vlm_image_message *message) {
  if (setjmp(decoder->escape)) {
    *message = decoder->message;
    return decoder->status;
  }
  if (!decoder->is_broken) {
    jpeg_finish_decompress(&decoder->info);
    decoder->damage.lacks_end = decoder->is_at_end;
  }
  *damage = decoder->damage;
  return VLM_IMAGE_OK;
}
