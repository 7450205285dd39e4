import CCodecs

/// Decodes WebP with libwebp: lossy, lossless, and the first frame of an animation on its canvas.
final class WebPReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  private(set) var notes: [DecodingNote] = []
  private let file: PixelBuffer
  private let name: String
  private let acceptsDamage: Bool
  private var decoder: OpaquePointer?
  private var picture: PixelBuffer?
  private var next = 0

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    var opened: OpaquePointer?
    var found = vlm_webp_header()
    var message = vlm_image_message()
    let bytes = file.contents.bindMemory(to: UInt8.self)
    let status = vlm_webp_open(bytes.baseAddress, bytes.count, &opened, &found, &message)
    let decoder = opened
    do throws(ImageError) {
      try status.check(.webp, message, name: name, bytes: 0)
      _ = try limits.pixels(width: Int(found.width), height: Int(found.height), of: name)
    } catch {
      vlm_webp_close(decoder)
      throw error
    }
    header = ImageHeader(
      width: Int(found.width), height: Int(found.height), model: found.has_alpha ? .rgba : .rgb,
      depth: 8,
      orientation: Orientation(exif: found.exif.contents, xmp: found.xmp.contents))
    // The image, and the working memory of the lossless decoder.
    workingBytes = header.height * (header.rowBytes + header.width * 4)
    if found.lacks_end { notes = [.noEndMarker(.webp)] }
    acceptsDamage = limits.acceptsDamage
    self.file = file
    self.name = name
    self.decoder = decoder
  }

  deinit { vlm_webp_close(decoder) }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    let picture = try decoded()
    let start = next * header.rowBytes
    next += rows
    buffer.copyMemory(
      from: UnsafeRawBufferPointer(
        rebasing: picture.contents[start..<start + rows * header.rowBytes]))
  }

  func finish() throws(ImageError) {}

  private func decoded() throws(ImageError) -> PixelBuffer {
    if let picture { return picture }
    try PixelMemory.check(bytes: workingBytes, for: name)
    let picture = try PixelBuffer(byteCount: header.height * header.rowBytes, for: name)
    var message = vlm_image_message()
    var rows: UInt32 = 0
    let status = vlm_webp_read(
      decoder, picture.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), &rows, &message)
    if status == VLM_IMAGE_DAMAGED, acceptsDamage {
      notes = [.lostRows(.webp, header.height - Int(rows), of: header.height, message.string)]
    } else {
      try status.check(.webp, message, name: name, bytes: workingBytes)
    }
    self.picture = picture
    return picture
  }
}

extension vlm_image_part {
  var contents: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: count) }
}
