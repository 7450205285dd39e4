// Decodes WebP from memory with libwebp and libwebpdemux.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "include/image_libraries.h"

struct vlm_webp {
  WebPDemuxer *demuxer;
  WebPIterator frame;
  WebPChunkIterator exif, xmp;
  uint32_t width, height;
  bool has_alpha;
};

static vlm_image_status fail(
    vlm_image_status status, const char *text, vlm_image_message *message) {
  snprintf(message->text, sizeof message->text, "%s", text);
  return status;
}

void vlm_webp_close(vlm_webp *decoder) {
  if (!decoder) return;
  WebPDemuxReleaseChunkIterator(&decoder->exif);
  WebPDemuxReleaseChunkIterator(&decoder->xmp);
  WebPDemuxReleaseIterator(&decoder->frame);
  WebPDemuxDelete(decoder->demuxer);
  free(decoder);
}

static vlm_image_part find_part(
    WebPDemuxer *demuxer, const char *name, WebPChunkIterator *iterator) {
  vlm_image_part part = {NULL, 0};
  if (WebPDemuxGetChunk(demuxer, name, 1, iterator)) {
    part.bytes = iterator->chunk.bytes;
    part.count = iterator->chunk.size;
  }
  return part;
}

static vlm_image_status read_structure(
    vlm_webp *decoder, const WebPData *data, vlm_webp_header *header,
    vlm_image_message *message) {
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  decoder->demuxer = WebPDemuxPartial(data, &state);
  if (state == WEBP_DEMUX_PARSE_ERROR) {
    return fail(VLM_IMAGE_CORRUPT, "the chunks break the format's rules", message);
  }
  if (!decoder->demuxer || state == WEBP_DEMUX_PARSING_HEADER ||
      !WebPDemuxGetFrame(decoder->demuxer, 1, &decoder->frame)) {
    return fail(VLM_IMAGE_CORRUPT, "the file ends early", message);
  }
  memset(header, 0, sizeof *header);
  decoder->width = header->width = WebPDemuxGetI(decoder->demuxer, WEBP_FF_CANVAS_WIDTH);
  decoder->height = header->height = WebPDemuxGetI(decoder->demuxer, WEBP_FF_CANVAS_HEIGHT);
  decoder->has_alpha = header->has_alpha =
      (WebPDemuxGetI(decoder->demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG) != 0;
  header->lacks_end = state != WEBP_DEMUX_DONE && decoder->frame.complete;
  header->exif = find_part(decoder->demuxer, "EXIF", &decoder->exif);
  header->xmp = find_part(decoder->demuxer, "XMP ", &decoder->xmp);
  // The demuxer has checked the frame against the canvas, but the memory written to is ours, so
  // check again.
  const WebPIterator *frame = &decoder->frame;
  if (frame->x_offset < 0 || frame->y_offset < 0 || frame->width <= 0 || frame->height <= 0 ||
      (uint64_t)frame->x_offset + (uint64_t)frame->width > header->width ||
      (uint64_t)frame->y_offset + (uint64_t)frame->height > header->height) {
    return fail(VLM_IMAGE_CORRUPT, "the first frame lies outside the canvas", message);
  }
  return VLM_IMAGE_OK;
}

vlm_image_status vlm_webp_open(
    const uint8_t *bytes, size_t count, vlm_webp **result, vlm_webp_header *header,
    vlm_image_message *message) {
  *result = NULL;
  vlm_webp *decoder = calloc(1, sizeof *decoder);
  if (!decoder) return fail(VLM_IMAGE_NO_MEMORY, "out of memory", message);
  const WebPData data = {bytes, count};
  const vlm_image_status status = read_structure(decoder, &data, header, message);
  if (status == VLM_IMAGE_OK) {
    *result = decoder;
  } else {
    vlm_webp_close(decoder);
  }
  return status;
}

vlm_image_status vlm_webp_read(
    vlm_webp *decoder, uint8_t *samples, uint32_t *rows, vlm_image_message *message) {
  const WebPIterator *frame = &decoder->frame;
  const size_t channels = decoder->has_alpha ? 4 : 3;
  const size_t stride = decoder->width * channels;
  *rows = 0;
  memset(samples, 0, stride * decoder->height);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) {
    return fail(VLM_IMAGE_UNSUPPORTED, "libwebp is of another version", message);
  }
  if (WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input) !=
          VP8_STATUS_OK ||
      config.input.width != frame->width || config.input.height != frame->height) {
    return fail(VLM_IMAGE_CORRUPT, "the frame's own size is another than stated", message);
  }
  config.output.colorspace = decoder->has_alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba =
      samples + (size_t)frame->y_offset * stride + (size_t)frame->x_offset * channels;
  config.output.u.RGBA.stride = (int)stride;
  config.output.u.RGBA.size =
      stride * (size_t)(frame->height - 1) + channels * (size_t)frame->width;
  WebPIDecoder *incremental = WebPIDecode(NULL, 0, &config);
  if (!incremental) return fail(VLM_IMAGE_NO_MEMORY, "out of memory", message);
  const VP8StatusCode status =
      WebPIUpdate(incremental, frame->fragment.bytes, frame->fragment.size);
  int done = 0;
  if (!WebPIDecGetRGB(incremental, &done, NULL, NULL, NULL)) done = 0;
  WebPIDelete(incremental);
  switch (status) {
    case VP8_STATUS_OK:
      *rows = decoder->height;
      return VLM_IMAGE_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
      return fail(VLM_IMAGE_NO_MEMORY, "out of memory", message);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return fail(VLM_IMAGE_UNSUPPORTED, "a feature that libwebp does not know", message);
    default:
      break;
  }
  if (done > frame->height) done = frame->height;
  if (done < 0) done = 0;
  // Rows below the last complete one are not valid.
  for (int y = done; y < frame->height; y++) {
    memset(config.output.u.RGBA.rgba + (size_t)y * stride, 0, channels * (size_t)frame->width);
  }
  *rows = (uint32_t)(frame->y_offset + done);
  return fail(
      done > 0 ? VLM_IMAGE_DAMAGED : VLM_IMAGE_CORRUPT,
      status == VP8_STATUS_SUSPENDED || status == VP8_STATUS_NOT_ENOUGH_DATA
          ? "the picture's data ends early"
          : "the picture's data is damaged",
      message);
}
