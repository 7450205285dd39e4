import CImageCodecs

/// PNG through libpng, which delivers raw samples; palettes and transparency are expanded here.
enum PNGDecoder {
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, name: String, limits: ImageLimits
  ) throws(ImageError) -> DecodedImage {
    if bytes.count >= 16, !bytes[12..<16].elementsEqual("IHDR".utf8) {
      let type = String(decoding: bytes[12..<16], as: UTF8.self)
      throw ImageError(
        name: name,
        problem: type == "CgBI"
          ? .unsupported(.png, "Apple's CgBI variant; convert it to plain PNG")
          : .corrupt(.png, "the first chunk is '\(type)', expected 'IHDR'"))
    }
    var decoder: OpaquePointer?
    var header = vlm_png_header()
    var message = vlm_image_message()
    var status = vlm_png_open(bytes.baseAddress, bytes.count, &decoder, &header, &message)
    defer { vlm_png_close(decoder) }
    try status.check(.png, message, name: name, bytes: 0)

    let width = Int(header.width)
    let height = Int(header.height)
    let pixels = try limits.pixels(width: width, height: height, of: name)
    let raw = Raw(header)
    let byteCount = pixels * raw.channels * (header.bit_depth == 16 ? 2 : 1)
    try checkSize(pixels: pixels, raw, fileBytes: bytes.count, name: name)
    // The raw samples, and at most twice as much for what they expand to.
    try PixelMemory.check(bytes: byteCount + pixels * (header.bit_depth == 16 ? 8 : 4), for: name)

    let samples: DecodedImage.Samples
    if header.bit_depth == 16 {
      let words = [UInt16](unsafeUninitializedCapacity: byteCount / 2) { buffer, count in
        buffer.withMemoryRebound(to: UInt8.self) { buffer in
          status = vlm_png_read(decoder, buffer.baseAddress, byteCount, &message)
        }
        count = status == VLM_IMAGE_OK ? byteCount / 2 : 0
      }
      try status.check(.png, message, name: name, bytes: byteCount)
      samples = .sixteen(words)
    } else {
      let octets = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
        status = vlm_png_read(decoder, buffer.baseAddress, byteCount, &message)
        count = status == VLM_IMAGE_OK ? byteCount : 0
      }
      try status.check(.png, message, name: name, bytes: byteCount)
      samples = .eight(octets)
    }
    try checkEnd(bytes, name: name)
    return raw.expanded(samples, width: width, height: height, orientation: orientation(bytes))
  }

  /// Refuses a header that promises more than the file can hold, before anything is allocated for
  /// it: deflate makes at most 1032 bytes of one.
  private static func checkSize(
    pixels: Int, _ raw: Raw, fileBytes: Int, name: String
  ) throws(ImageError) {
    let promised = pixels * raw.channels * Int(raw.header.bit_depth) / 8
    guard promised / 1032 > fileBytes else { return }
    throw ImageError(
      name: name,
      problem: .corrupt(
        .png, "the header promises \(promised) bytes, more than \(fileBytes) can be inflated to"))
  }

  /// libpng checks the last chunk's CRC in some of its releases and not in others.
  private static func checkEnd(
    _ bytes: UnsafeBufferPointer<UInt8>, name: String
  ) throws(ImageError) {
    var offset = 8
    while offset <= bytes.count - 12 {
      let length = Int(word(bytes, offset))
      guard length <= bytes.count - offset - 12 else { break }
      if bytes[offset + 4..<offset + 8].elementsEqual("IEND".utf8) {
        guard length == 0 else {
          throw ImageError(
            name: name, problem: .corrupt(.png, "'IEND' has \(length) bytes, expected none"))
        }
        if crc32("IEND".utf8) == word(bytes, offset + 8) { return }
        throw ImageError(name: name, problem: .corrupt(.png, "the CRC of 'IEND' is wrong"))
      }
      offset += length + 12
    }
    throw ImageError(name: name, problem: .corrupt(.png, "found no 'IEND'"))
  }

  private static func word(_ bytes: UnsafeBufferPointer<UInt8>, _ offset: Int) -> UInt32 {
    bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// From the first intact `eXIf` chunk. The chunk structure has been validated up to IEND by now.
  private static func orientation(_ bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var offset = 8
    while offset <= bytes.count - 12 {
      let length = Int(word(bytes, offset))
      guard length <= bytes.count - offset - 12 else { break }
      let type = bytes[offset + 4..<offset + 8]
      if type.elementsEqual("IEND".utf8) { break }
      if type.elementsEqual("eXIf".utf8) {
        let checked = bytes[offset + 4..<offset + 8 + length]
        guard crc32(checked) == word(bytes, offset + 8 + length) else { break }
        return EXIF.orientation(
          UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: checked.dropFirst(4))))
      }
      offset += length + 12
    }
    return .upright
  }

  /// CRC-32 as PNG and zlib have it, a bit at a time: for chunks of a few kilobytes.
  static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return ~crc
  }
}

/// What the header says about the raw samples.
private struct Raw {
  let header: vlm_png_header
  /// Samples per pixel in the file.
  let channels: Int

  init(_ header: vlm_png_header) {
    self.header = header
    channels =
      switch header.color_type {
      case 2: 3
      case 4: 2
      case 6: 4
      default: 1
      }
  }

  func expanded(
    _ samples: DecodedImage.Samples, width: Int, height: Int, orientation: Orientation
  ) -> DecodedImage {
    let model: DecodedImage.Model
    var result = samples
    var isAlphaDeclared = header.has_key
    switch (header.color_type, samples) {
    case (0, .eight(let gray)):
      let scale = UInt8(255 / (1 << min(Int(header.bit_depth), 8) - 1))
      let scaled = scale == 1 ? gray : gray.map { $0 &* scale }
      model = header.has_key ? .grayAlpha : .gray
      result = .eight(
        header.has_key ? keyed(scaled, against: gray, count: 1, opaque: .max) : scaled)
    case (0, .sixteen(let gray)):
      model = header.has_key ? .grayAlpha : .gray
      if header.has_key {
        result = .sixteen(keyed(gray, against: gray, count: 1, opaque: .max))
      }
    case (2, .eight(let color)):
      model = header.has_key ? .rgba : .rgb
      if header.has_key {
        result = .eight(keyed(color, against: color, count: 3, opaque: .max))
      }
    case (2, .sixteen(let color)):
      model = header.has_key ? .rgba : .rgb
      if header.has_key {
        result = .sixteen(keyed(color, against: color, count: 3, opaque: .max))
      }
    case (3, .eight(let indices)):
      isAlphaDeclared = header.palette_alpha_count > 0
      model = isAlphaDeclared ? .rgba : .rgb
      result = .eight(colors(of: indices, channels: model.channels))
    case (4, _): model = .grayAlpha
    default: model = .rgba
    }
    return DecodedImage(
      width: width, height: height, model: model, samples: result,
      isAlphaDeclared: isAlphaDeclared, orientation: orientation)
  }

  /// Appends to each pixel of `samples` an alpha: 0 where `raw` is the transparent colour.
  private func keyed<T: FixedWidthInteger & UnsignedInteger>(
    _ samples: [T], against raw: [T], count channels: Int, opaque: T
  ) -> [T] {
    let key = [header.key.0, header.key.1, header.key.2].prefix(channels).map { UInt32($0) }
    let pixels = samples.count / channels
    var out: [T] = []
    out.reserveCapacity(pixels * (channels + 1))
    for pixel in 0..<pixels {
      var isKey = true
      for channel in 0..<channels {
        let index = pixel * channels + channel
        out.append(samples[index])
        if UInt32(raw[index]) != key[channel] { isKey = false }
      }
      out.append(isKey ? 0 : opaque)
    }
    return out
  }

  /// An index past the palette's end is opaque black.
  private func colors(of indices: [UInt8], channels: Int) -> [UInt8] {
    withUnsafeBytes(of: header.palette) { palette in
      [UInt8](unsafeUninitializedCapacity: indices.count * channels) { out, count in
        for (pixel, index) in indices.enumerated() {
          for channel in 0..<channels {
            out[pixel * channels + channel] = palette[Int(index) * 4 + channel]
          }
        }
        count = indices.count * channels
      }
    }
  }
}

extension vlm_image_status {
  /// Turns a failure of the C side into an error.
  func check(
    _ format: ImageFormat, _ message: vlm_image_message, name: String, bytes: Int
  ) throws(ImageError) {
    if self == VLM_IMAGE_OK { return }
    let text = withUnsafeBytes(of: message.text) { buffer in
      String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    switch self {
    case VLM_IMAGE_NO_MEMORY: throw ImageError(name: name, problem: .noMemory(bytes: bytes))
    case VLM_IMAGE_UNSUPPORTED: throw ImageError(name: name, problem: .unsupported(format, text))
    default: throw ImageError(name: name, problem: .corrupt(format, text))
    }
  }
}
