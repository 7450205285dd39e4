import VLMFoundation

/// Decodes image files. The first bytes determine the format, not the file's name.
package enum ImageDecoder {
  /// Reads a file and parses its header; `-` is standard input. The image is decoded when its rows
  /// are requested.
  ///
  /// - Parameters:
  ///   - isFast: whether a JPEG may be decoded at reduced size if it is then resized to less than
  ///     half of that.
  ///   - report: receives notes about damage that was accepted.
  package static func open(
    path: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    isFast: Bool = false, report: @escaping (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> LazyImage {
    try LazyImage(
      try ImageFile.read(path: path, limits: limits), name: path, policy: policy, limits: limits,
      isFast: isFast, report: report)
  }

  /// The same for a file in memory.
  ///
  /// - Parameter name: the image's name in messages.
  package static func open(
    bytes: [UInt8], name: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    isFast: Bool = false, report: @escaping (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> LazyImage {
    try LazyImage(
      try file(bytes, name: name, limits: limits), name: name, policy: policy, limits: limits,
      isFast: isFast, report: report)
  }

  /// The bytes of a regular file.
  package static func bytes(
    ofFile path: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> [UInt8] {
    let file = try ImageFile.read(path: path, limits: limits)
    return Array(file.bytes)
  }

  /// Reads and decodes a whole file; `-` is standard input.
  package static func decode(
    path: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    report: @escaping (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> Image {
    try open(path: path, policy: policy, limits: limits, report: report)
      .picture(keepsAlpha: false).color
  }

  /// The same for a model that takes the channels of `color`.
  package static func decode(
    path: String, color: ColorMode, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits(), report: @escaping (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> ImageAndAlpha {
    try open(path: path, policy: policy, limits: limits, report: report)
      .picture(keepsAlpha: color == .rgba)
  }

  /// - Parameter name: the image's name in messages.
  package static func decode(
    bytes: [UInt8], name: String, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits(), report: @escaping (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> Image {
    try open(bytes: bytes, name: name, policy: policy, limits: limits, report: report)
      .picture(keepsAlpha: false).color
  }

  /// The decoded samples before any colour conversion.
  package static func decodeSamples(
    bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits(),
    report: (DecodingNote) -> Void = { _ in }
  ) throws(ImageError) -> DecodedImage {
    let reader = try RowReaders.open(
      try file(bytes, name: name, limits: limits), name: name, limits: limits)
    let decoded = try reader.readAll(name: name, limits: limits)
    reader.notes.forEach(report)
    return decoded
  }

  private static func file(
    _ bytes: [UInt8], name: String, limits: ImageLimits
  ) throws(ImageError) -> PixelBuffer {
    guard bytes.count <= limits.maximumFileBytes else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limits.maximumFileBytes))
    }
    let file = try PixelBuffer(byteCount: bytes.count, for: name)
    file.bytes.copyBytes(from: bytes)
    return file
  }
}
