import VLMFoundation

/// Recognises image formats by a file's first bytes.
enum ImageSignature {
  private static let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  private static let formats: [(offset: Int, signature: [UInt8], format: ImageFormat)] = [
    (0, png, .png), (0, [0xFF, 0xD8, 0xFF], .jpeg),
    (0, Array("GIF87a".utf8), .gif), (0, Array("GIF89a".utf8), .gif),
    (0, Array("BM".utf8), .bmp),
    (0, [0x49, 0x49, 0x2A, 0], .tiff), (0, [0x4D, 0x4D, 0, 0x2A], .tiff),
    (0, [0x49, 0x49, 0x2B, 0], .tiff), (0, [0x4D, 0x4D, 0, 0x2B], .tiff),
    (4, Array("ftypavif".utf8), .avif), (4, Array("ftypavis".utf8), .avif),
    (4, Array("ftypheic".utf8), .heic), (4, Array("ftypheix".utf8), .heic),
    (4, Array("ftypheim".utf8), .heic), (4, Array("ftypheis".utf8), .heic),
    (4, Array("ftyphevc".utf8), .heic), (4, Array("ftyphevx".utf8), .heic),
  ]

  /// Signatures of other formats that are mistaken for images, for the error message. Raw camera
  /// formats that begin like TIFF are checked before TIFF.
  private static let others: [(offset: Int, signature: [UInt8], name: String)] = [
    (0, Array("%PDF".utf8), "PDF"), (0, Array("%!PS".utf8), "PostScript"),
    (4, Array("ftypcrx".utf8), "a camera's raw file (CR3)"),
    (4, Array("ftyp".utf8), "an MP4 or QuickTime file"),
    (0, Array("IIRO".utf8), "a camera's raw file (ORF)"),
    (0, Array("IIRS".utf8), "a camera's raw file (ORF)"),
    (0, Array("MMOR".utf8), "a camera's raw file (ORF)"),
    (0, [0x49, 0x49, 0x55, 0], "a camera's raw file (RW2)"),
    (0, Array("FUJIFILMCCD-RAW".utf8), "a camera's raw file (RAF)"),
    (0, [0x8A] + Array("MNG".utf8), "MNG"), (0, [0x8B] + Array("JNG".utf8), "JNG"),
    (0, [0, 0, 1, 0], "an icon (ICO)"),
    (0, Array("icns".utf8), "an icon (ICNS)"), (0, [0xFF, 0x0A], "JPEG XL"),
    (4, Array("JXL ".utf8), "JPEG XL"), (4, Array("jP  ".utf8), "JPEG 2000"),
    (0, [0xFF, 0x4F, 0xFF, 0x51], "JPEG 2000"), (0, [0x49, 0x49, 0xBC], "JPEG XR"),
    (0, Array("8BPS".utf8), "a Photoshop document"), (0, Array("gimp xcf".utf8), "an XCF of GIMP"),
    (0, Array("PK".utf8), "a zip archive"), (0, [0x1F, 0x8B], "gzip data"),
    (0, Array("qoif".utf8), "QOI"), (0, Array("DDS ".utf8), "DDS"),
    (0, [0x76, 0x2F, 0x31, 0x01], "OpenEXR"), (0, Array("#?RADIANCE".utf8), "Radiance HDR"),
    (0, Array("P7".utf8), "PAM (P7)"), (0, Array("PF".utf8), "PFM"), (0, Array("Pf".utf8), "PFM"),
    (0, Array("SIMPLE  =".utf8), "FITS"), (128, Array("DICM".utf8), "DICOM"),
    (0, [0x1A, 0x45, 0xDF, 0xA3], "a Matroska or WebM film"),
    (8, Array("AVI ".utf8), "an AVI film"),
  ]
  private static let texts = [
    ("<svg", "SVG"), ("<?xml", "XML or SVG"), ("{", "JSON text"),
  ]

  static func format(
    of bytes: UnsafeRawBufferPointer, name: String
  ) throws(ImageError) -> ImageFormat {
    if bytes.isEmpty { throw ImageError(name: name, problem: .empty) }
    if bytes.starts(with: Array("RIFF".utf8)), has(Array("WEBP".utf8), at: 8, bytes) {
      return .webp
    }
    if let kind = rawKind(bytes) {
      throw ImageError(name: name, problem: .unrecognized(looksLike: kind))
    }
    for (offset, signature, format) in formats where has(signature, at: offset, bytes) {
      return format
    }
    if let format = brandedFormat(bytes) { return format }
    // A portable bitmap is recognised by 'P', a digit and the byte after it.
    if bytes.count > 2, bytes[0] == UInt8(ascii: "P"), (0x31...0x36).contains(bytes[1]),
      bytes[2] == 0x20 || (9...13).contains(bytes[2]) || bytes[2] == UInt8(ascii: "#")
    {
      return .pnm
    }
    if let kind = FileKind.standIn(bytes) {
      throw ImageError(name: name, problem: .notFetched(kind))
    }
    throw ImageError(name: name, problem: .unrecognized(looksLike: guess(bytes)))
  }

  private static func has(
    _ signature: [UInt8], at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) -> Bool {
    bytes.dropFirst(offset).starts(with: signature)
  }

  /// Canon's CR2 begins like a TIFF whose first page is a thumbnail.
  private static func rawKind(_ bytes: UnsafeRawBufferPointer) -> String? {
    has(Array("II*\0".utf8), at: 0, bytes) && has(Array("CR".utf8), at: 8, bytes)
      ? "a camera's raw file (CR2)" : nil
  }

  /// Files of the generic brands `mif1` and `msf1` state their codec among the compatible brands.
  private static func brandedFormat(_ bytes: UnsafeRawBufferPointer) -> ImageFormat? {
    guard bytes.count >= 16,
      has(Array("ftypmif1".utf8), at: 4, bytes) || has(Array("ftypmsf1".utf8), at: 4, bytes)
    else { return nil }
    let size = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
    let end = min(size, bytes.count, 256)
    for offset in stride(from: 16, to: max(16, end - 3), by: 4)
    where has(Array("avi".utf8), at: offset, bytes) { return .avif }
    return .heic
  }

  private static func guess(_ bytes: UnsafeRawBufferPointer) -> String? {
    if png.starts(with: bytes) { return "a PNG cut off in its signature" }
    if bytes.prefix(8).dropFirst().starts(with: [0x50, 0x4E, 0x47])
      || bytes.starts(with: [0x50, 0x4E, 0x47])
    {
      return "a PNG whose signature was damaged, as a transfer in text mode does"
    }
    for (offset, signature, name) in others where has(signature, at: offset, bytes) { return name }
    var start = bytes.prefix(512)[...]
    if start.starts(with: [0xEF, 0xBB, 0xBF]) { start = start.dropFirst(3) }
    let head = String(decoding: start.drop { $0 <= 0x20 }, as: UTF8.self).lowercased()
    if let text = texts.first(where: { head.hasPrefix($0.0) }) { return text.1 }
    return looksLikeTarga(bytes) ? "Targa (TGA)" : nil
  }

  /// Targa has no signature at its start; it is recognised by plausible values of its type and
  /// depth fields.
  private static func looksLikeTarga(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 18, bytes[1] <= 1, [1, 2, 3, 9, 10, 11].contains(bytes[2]) else {
      return false
    }
    let (width, height) = (
      ImageBytes(bytes: bytes).short(12), ImageBytes(bytes: bytes).short(14)
    )
    return [8, 15, 16, 24, 32].contains(bytes[16]) && bytes[17] & 0xC0 == 0 && width != 0
      && height != 0 && (bytes[1] == 1) == (bytes[2] & 7 == 1)
  }
}
