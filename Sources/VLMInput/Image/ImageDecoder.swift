import VLMTensor

/// Image files to pictures. The first bytes decide the format, never the file's name.
package enum ImageDecoder {
  /// Reads and decodes a file; `-` is standard input.
  ///
  /// - Parameter report: is given what is to be said of a picture that was read all the same.
  package static func decode(
    path: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    report: (PictureNote) -> Void = { _ in }
  ) throws(ImageError) -> Image {
    let file = try ImageFile.read(path: path, limit: limits.maximumFileBytes)
    let decoded = try decodeSamples(file, name: path, limits: limits, report: report)
    return try image(decoded, policy, name: path)
  }

  /// The same for a model that sees the channels of `color`.
  package static func decode(
    path: String, color: ColorMode, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits(), report: (PictureNote) -> Void = { _ in }
  ) throws(ImageError) -> Picture {
    guard color == .rgba else {
      return Picture(try decode(path: path, policy: policy, limits: limits, report: report))
    }
    let file = try ImageFile.read(path: path, limit: limits.maximumFileBytes)
    let decoded = try decodeSamples(file, name: path, limits: limits, report: report)
    // As below, and the opacity with a turned copy.
    try PixelMemory.check(bytes: decoded.width * decoded.height * 16, for: path)
    return decoded.picture(policy)
  }

  /// - Parameter name: what messages call the image.
  package static func decode(
    bytes: [UInt8], name: String, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits(), report: (PictureNote) -> Void = { _ in }
  ) throws(ImageError) -> Image {
    let decoded = try decodeSamples(bytes: bytes, name: name, limits: limits, report: report)
    return try image(decoded, policy, name: name)
  }

  /// The samples as the file has them.
  package static func decodeSamples(
    bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits(),
    report: (PictureNote) -> Void = { _ in }
  ) throws(ImageError) -> DecodedImage {
    guard bytes.count <= limits.maximumFileBytes else {
      throw ImageError(name: name, problem: .fileTooLarge(limit: limits.maximumFileBytes))
    }
    return try decodeSamples(
      try file(bytes, name: name), name: name, limits: limits, report: report)
  }

  private static func file(_ bytes: [UInt8], name: String) throws(ImageError) -> PixelBuffer {
    let copy = bytes.withUnsafeBytes { buffer -> Result<PixelBuffer, ImageError> in
      do throws(ImageError) {
        return .success(try PixelBuffer(copying: buffer, for: name))
      } catch {
        return .failure(error)
      }
    }
    return try copy.get()
  }

  private static func decodeSamples(
    _ file: PixelBuffer, name: String, limits: ImageLimits, report: (PictureNote) -> Void
  ) throws(ImageError) -> DecodedImage {
    let reader = try RowReaders.open(file, name: name, limits: limits)
    let decoded = try reader.readAll(name: name)
    reader.notes.forEach(report)
    return decoded
  }

  private static func image(
    _ decoded: DecodedImage, _ policy: DecodePolicy, name: String
  ) throws(ImageError) -> Image {
    // An 8-bit copy of 16-bit samples, the RGB, and a turned RGB.
    try PixelMemory.check(bytes: decoded.width * decoded.height * 10, for: name)
    return decoded.image(policy)
  }
}
