import VLMTensor

/// Image files to pictures. The first bytes decide the format, never the file's name.
package enum ImageDecoder {
  /// Reads a file and its header; `-` is standard input. The picture is decoded when its rows are
  /// asked for.
  ///
  /// - Parameter isFast: whether a JPEG may be decoded smaller than it is, where it is resized to less
  ///   than half of that.
  package static func open(
    path: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    isFast: Bool = false
  ) throws(ImageError) -> PictureFile {
    try PictureFile(
      try ImageFile.read(path: path, limits: limits), name: path, policy: policy, limits: limits,
      isFast: isFast)
  }

  /// The same of a file that is in memory.
  ///
  /// - Parameter name: what messages call the image.
  package static func open(
    bytes: [UInt8], name: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits(),
    isFast: Bool = false
  ) throws(ImageError) -> PictureFile {
    try PictureFile(
      try file(bytes, name: name, limits: limits), name: name, policy: policy, limits: limits,
      isFast: isFast)
  }

  /// Reads and decodes a whole file; `-` is standard input.
  package static func decode(
    path: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> Image {
    try open(path: path, policy: policy, limits: limits).picture(keepsAlpha: false).color
  }

  /// The same for a model that sees the channels of `color`.
  package static func decode(
    path: String, color: ColorMode, policy: DecodePolicy = .seen,
    limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> Picture {
    try open(path: path, policy: policy, limits: limits).picture(keepsAlpha: color == .rgba)
  }

  /// - Parameter name: what messages call the image.
  package static func decode(
    bytes: [UInt8], name: String, policy: DecodePolicy = .seen, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> Image {
    try open(bytes: bytes, name: name, policy: policy, limits: limits)
      .picture(keepsAlpha: false).color
  }

  /// The samples as the file has them.
  package static func decodeSamples(
    bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageError) -> DecodedImage {
    try RowReaders.open(try file(bytes, name: name, limits: limits), name: name, limits: limits)
      .readAll(name: name, limits: limits)
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

/// What a file's first bytes say it is.
enum ImageSignature {
  private static let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Signatures of what people also give an image's name, to be named in the message.
  private static let others: [(offset: Int, signature: [UInt8], name: String)] = [
    (0, Array("GIF87a".utf8), "GIF"), (0, Array("GIF89a".utf8), "GIF"),
    (8, Array("WEBP".utf8), "WebP"), (0, Array("BM".utf8), "BMP"),
    (0, Array("%PDF".utf8), "PDF"), (4, Array("ftypavi".utf8), "AVIF"),
    (4, Array("ftyphei".utf8), "HEIC"), (4, Array("ftyphev".utf8), "HEIC"),
    (4, Array("ftypmif1".utf8), "HEIF"), (4, Array("ftypmsf1".utf8), "HEIF"),
    (4, Array("ftyp".utf8), "an MP4 or QuickTime file"),
    (0, [0x49, 0x49, 0x2A, 0], "TIFF"), (0, [0x4D, 0x4D, 0, 0x2A], "TIFF"),
    (0, [0x8A] + Array("MNG".utf8), "MNG"), (0, [0x8B] + Array("JNG".utf8), "JNG"),
    (0, [0, 0, 1, 0], "an icon (ICO)"), (0, [0xFF, 0x0A], "JPEG XL"),
    (4, Array("JXL ".utf8), "JPEG XL"), (4, Array("jP  ".utf8), "JPEG 2000"),
    (0, Array("8BPS".utf8), "a Photoshop document"), (0, Array("PK".utf8), "a zip archive"),
    (0, [0x1F, 0x8B], "gzip data"), (0, Array("qoif".utf8), "QOI"),
  ]
  private static let texts = [
    ("<svg", "SVG"), ("<?xml", "XML or SVG"), ("<!doctype html", "an HTML page"),
    ("<html", "an HTML page"), ("{", "JSON text"), ("version https://git-lfs", "a Git LFS pointer"),
  ]

  static func format(of bytes: UnsafeRawBufferPointer, name: String) throws(ImageError)
    -> ImageFormat
  {
    if bytes.isEmpty { throw ImageError(name: name, problem: .empty) }
    if bytes.starts(with: png) { return .png }
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
    throw ImageError(name: name, problem: .unrecognized(looksLike: guess(bytes)))
  }

  private static func guess(_ bytes: UnsafeRawBufferPointer) -> String? {
    if png.starts(with: bytes) { return "a PNG cut off in its signature" }
    if bytes.prefix(8).dropFirst().starts(with: [0x50, 0x4E, 0x47])
      || bytes.starts(with: [0x50, 0x4E, 0x47])
    {
      return "a PNG whose signature was damaged, as a transfer in text mode does"
    }
    for (offset, signature, name) in others
    where bytes.dropFirst(offset).starts(with: signature) { return name }
    var start = bytes.prefix(512)[...]
    if start.starts(with: [0xEF, 0xBB, 0xBF]) { start = start.dropFirst(3) }
    let head = String(decoding: start.drop { $0 <= 0x20 }, as: UTF8.self).lowercased()
    return texts.first { head.hasPrefix($0.0) }?.1
  }
}
