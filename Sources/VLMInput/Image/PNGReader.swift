import CImageCodecs

/// PNG through libpng, which delivers raw samples; palettes and transparency are expanded here.
final class PNGReader: RowReader {
  let header: PictureHeader
  let workingBytes: Int
  let lighterForm: String?
  private let file: PixelBuffer
  private let name: String
  private let expansion: PNGExpansion
  /// A row before it is expanded; nil where it need not be.
  private let row: PixelBuffer?
  private var decoder: OpaquePointer?

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    let bytes = UnsafeRawBufferPointer(file.bytes).bindMemory(to: UInt8.self)
    try Self.checkStart(bytes, name: name)
    var opened: OpaquePointer?
    var found = vlm_png_header()
    var message = vlm_image_message()
    let status = vlm_png_open(bytes.baseAddress, bytes.count, &opened, &found, &message)
    let decoder = opened
    do throws(ImageError) {
      try status.check(.png, message, name: name, bytes: 0)
      let (width, height) = (Int(found.width), Int(found.height))
      _ = try limits.pixels(width: width, height: height, of: name)
      let expansion = PNGExpansion(found)
      let rawRow = (width * expansion.channels * Int(found.bit_depth) + 7) / 8
      try Self.checkSize(rawRow * height, fileBytes: bytes.count, name: name)
      // libpng holds a row and the one before; of an interlaced picture we hold all.
      workingBytes = (found.is_interlaced ? rawRow * height : 0) + 4 * rawRow + 1 << 16
      lighterForm = found.is_interlaced ? "without interlacing" : nil
      row =
        expansion.changes
        ? try PixelBuffer(byteCount: width * expansion.sampleBytes, for: name) : nil
      header = PictureHeader(
        width: width, height: height, model: expansion.model, depth: expansion.depth,
        isAlphaDeclared: expansion.isAlphaDeclared, orientation: Self.orientation(bytes))
      self.expansion = expansion
    } catch {
      vlm_png_close(decoder)
      throw error
    }
    self.file = file
    self.name = name
    self.decoder = decoder
  }

  deinit { vlm_png_close(decoder) }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    precondition(buffer.count == rows * header.rowBytes, "a buffer for the rows")
    guard let row else { return try readRaw(rows: rows, rowBytes: header.rowBytes, into: buffer) }
    for index in 0..<rows {
      try readRaw(rows: 1, rowBytes: row.bytes.count, into: row.bytes)
      let start = index * header.rowBytes
      expansion.expand(
        UnsafeRawBufferPointer(row.bytes), pixels: header.width,
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + header.rowBytes]))
    }
  }

  private func readRaw(
    rows: Int, rowBytes: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    var message = vlm_image_message()
    let status = vlm_png_read_rows(
      decoder, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), rowBytes, rows, &message)
    try status.check(.png, message, name: name, bytes: workingBytes)
  }

  func finish() throws(ImageError) {
    var message = vlm_image_message()
    let status = vlm_png_finish(decoder, &message)
    try status.check(.png, message, name: name, bytes: 0)
    try Self.checkEnd(UnsafeRawBufferPointer(file.bytes).bindMemory(to: UInt8.self), name: name)
  }

  private static func checkStart(
    _ bytes: UnsafeBufferPointer<UInt8>, name: String
  ) throws(ImageError) {
    guard bytes.count >= 16, !bytes[12..<16].elementsEqual("IHDR".utf8) else { return }
    let type = String(decoding: bytes[12..<16], as: UTF8.self)
    throw ImageError(
      name: name,
      problem: type == "CgBI"
        ? .unsupported(.png, "Apple's CgBI variant; convert it to plain PNG")
        : .corrupt(.png, "the first chunk is '\(type)', expected 'IHDR'"))
  }

  /// Refuses a header that promises more than the file can hold, before anything is allocated for
  /// it: deflate makes at most 1032 bytes of one.
  private static func checkSize(
    _ promised: Int, fileBytes: Int, name: String
  ) throws(ImageError) {
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

  /// Of a sensible `eXIf` chunk, whose checksum is computed a bit at a time.
  private static let maximumEXIFBytes = 1 << 24

  /// From the first intact `eXIf` chunk, wherever it stands: nothing is validated yet.
  private static func orientation(_ bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var offset = 8
    while offset <= bytes.count - 12 {
      let length = Int(word(bytes, offset))
      guard length <= bytes.count - offset - 12 else { break }
      let type = bytes[offset + 4..<offset + 8]
      if type.elementsEqual("IEND".utf8) { break }
      if type.elementsEqual("eXIf".utf8) {
        guard length <= maximumEXIFBytes else { break }
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
