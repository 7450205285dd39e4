import CImageCodecs

/// JPEG through libjpeg-turbo; EXIF is found here.
enum JPEGDecoder {
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, name: String, limits: ImageLimits
  ) throws(ImageError) -> DecodedImage {
    var decoder: OpaquePointer?
    var header = vlm_jpeg_header()
    var message = vlm_image_message()
    var status = vlm_jpeg_open(bytes.baseAddress, bytes.count, &decoder, &header, &message)
    defer { vlm_jpeg_close(decoder) }
    try status.check(.jpeg, message, name: name, bytes: 0)

    let width = Int(header.width)
    let height = Int(header.height)
    let channels = Int(header.channels)
    let pixels = try limits.pixels(width: width, height: height, of: name)
    let byteCount = pixels * channels
    try PixelMemory.check(bytes: byteCount + (channels == 3 ? 0 : pixels * 3), for: name)

    let samples = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      status = vlm_jpeg_read(
        decoder, buffer.baseAddress, byteCount, Int32(clamping: limits.maximumScans), &message)
      count = status == VLM_IMAGE_OK ? byteCount : 0
    }
    try status.check(.jpeg, message, name: name, bytes: byteCount)
    let model: DecodedImage.Model =
      switch channels {
      case 1: .gray
      case 3: .rgb
      default: .invertedCMYK
      }
    return DecodedImage(
      width: width, height: height, model: model, samples: .eight(samples),
      orientation: orientation(bytes))
  }

  /// From the first APP1 segment that holds EXIF, before the first scan.
  private static func orientation(_ bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    let signature: [UInt8] = Array("Exif".utf8) + [0, 0]
    var offset = 2
    while offset <= bytes.count - 4 {
      guard bytes[offset] == 0xFF else { break }
      let marker = bytes[offset + 1]
      if marker == 0xFF {
        // Fill byte.
        offset += 1
        continue
      }
      // Start of scan, end of image: no header follows.
      if marker == 0xDA || marker == 0xD9 { break }
      // Markers that stand alone.
      if marker == 0x01 || (0xD0...0xD8).contains(marker) {
        offset += 2
        continue
      }
      let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
      guard length >= 2, length <= bytes.count - offset - 2 else { break }
      let payload = bytes[offset + 4..<offset + 2 + length]
      if marker == 0xE1, payload.starts(with: signature) {
        return EXIF.orientation(
          UnsafeRawBufferPointer(
            UnsafeBufferPointer(rebasing: payload.dropFirst(signature.count))))
      }
      offset += length + 2
    }
    return .upright
  }
}
