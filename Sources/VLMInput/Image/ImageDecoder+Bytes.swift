extension ImageDecoder {
  /// A file in memory, for a model that sees the channels of `color`.
  package static func decode(
    bytes: [UInt8], name: String, color: ColorMode, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits(), report: (PictureNote) -> Void = { _ in }
  ) throws(ImageError) -> Picture {
    guard color == .rgba else {
      return Picture(
        try decode(bytes: bytes, name: name, policy: policy, limits: limits, report: report))
    }
    let decoded = try decodeSamples(bytes: bytes, name: name, limits: limits, report: report)
    try PixelMemory.check(bytes: decoded.width * decoded.height * 16, for: name)
    return decoded.picture(policy)
  }
}
