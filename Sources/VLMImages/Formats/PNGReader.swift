import CCodecs

/// Decodes PNG with libpng, which delivers raw samples. Palettes and transparency are expanded
/// here.
final class PNGReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  let lighterForm: String?
  private(set) var notes: [DecodingNote] = []
  private let acceptsDamage: Bool
  private let file: PixelBuffer
  private let name: String
  private let expansion: PNGExpansion
  /// Buffer for a row before expansion; nil if none is needed.
  private let row: PixelBuffer?
  private var decoder: OpaquePointer?

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    let bytes = UnsafeRawBufferPointer(file.bytes).bindMemory(to: UInt8.self)
    try Self.checkStart(bytes, name: name)
    var opened: OpaquePointer?
    var found = vlm_png_header()
    var message = vlm_image_message()
    let status = vlm_png_open(
      bytes.baseAddress, bytes.count, limits.acceptsDamage, &opened, &found, &message)
    let decoder = opened
    do throws(ImageError) {
      try status.check(.png, message, name: name, bytes: 0)
      let (width, height) = (Int(found.width), Int(found.height))
      _ = try limits.pixels(width: width, height: height, of: name)
      let expansion = PNGExpansion(found)
      let rawRow = (width * expansion.channels * Int(found.bit_depth) + 7) / 8
      try Self.checkSize(rawRow * height, fileBytes: bytes.count, name: name)
      // libpng holds two rows. For an interlaced image all rows are held here.
      workingBytes = (found.is_interlaced ? rawRow * height : 0) + 4 * rawRow + 1 << 16
      lighterForm = found.is_interlaced ? "without interlacing" : nil
      row =
        expansion.changes
        ? try PixelBuffer(byteCount: width * expansion.sampleBytes, for: name) : nil
      header = ImageHeader(
        width: width, height: height, model: expansion.model, depth: expansion.depth,
        isAlphaDeclared: expansion.isAlphaDeclared,
        orientation: PNGChunks(file.contents).orientation)
      self.expansion = expansion
    } catch {
      vlm_png_close(decoder)
      throw error
    }
    acceptsDamage = limits.acceptsDamage
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
    var damage = vlm_image_damage()
    var message = vlm_image_message()
    let status = vlm_png_finish(decoder, &damage, &message)
    try status.check(.png, message, name: name, bytes: 0)
    notes = damage.notes(.png, height: header.height)
    // Not every release of libpng checks the last chunk's CRC.
    guard notes.isEmpty, let defect = PNGChunks(file.contents).endDefect else { return }
    guard acceptsDamage else { throw ImageError(name: name, problem: .damaged(.png, defect)) }
    notes = [.unchecked(.png, defect)]
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

  /// Refuses a header that states more pixels than the file can hold, before anything is allocated:
  /// DEFLATE expands a byte to at most 1032.
  private static func checkSize(
    _ promised: Int, fileBytes: Int, name: String
  ) throws(ImageError) {
    guard promised / 1032 > fileBytes else { return }
    throw ImageError(
      name: name,
      problem: .corrupt(
        .png, "the header promises \(promised) bytes, more than \(fileBytes) can be inflated to"))
  }
}

/// Iterates over the chunks of a PNG and verifies their checksums.
struct PNGChunks {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Calls `body` with each chunk's type, payload and whether its checksum is correct, until it
  /// returns false.
  private func forEach(_ body: (String, UnsafeRawBufferPointer, Bool) -> Bool) {
    var offset = 8
    while offset <= bytes.count - 12 {
      let length = Int(word(offset))
      guard length <= bytes.count - offset - 12 else { return }
      let checked = UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<offset + 8 + length])
      let type = String(decoding: checked[..<4], as: UTF8.self)
      // libpng checks the pixel data.
      let isRight =
        type != "IDAT"
        && crc32(0, checked.bindMemory(to: UInt8.self).baseAddress, UInt32(checked.count))
          == UInt(word(offset + 8 + length))
      guard body(type, UnsafeRawBufferPointer(rebasing: checked[4...]), isRight) else { return }
      offset += length + 12
    }
  }

  /// The defect of the chunk that ends the file; nil if it is intact.
  var endDefect: String? {
    var defect: String? = "found no 'IEND'"
    forEach { type, payload, isRight in
      guard type == "IEND" else { return true }
      defect =
        !payload.isEmpty
        ? "'IEND' has \(payload.count) bytes, expected none"
        : isRight ? nil : "the CRC of 'IEND' is wrong"
      return false
    }
    return defect
  }

  /// The orientation from the first intact `eXIf` chunk, otherwise from text chunks.
  var orientation: Orientation {
    var exif: Orientation?
    var texts = PNGTexts()
    forEach { type, payload, isRight in
      if type == "IEND" { return false }
      guard isRight, ["eXIf", "tEXt", "zTXt", "iTXt"].contains(type) else { return true }
      if type != "eXIf" {
        texts.add(type: type, payload)
      } else if exif == nil {
        exif = EXIF.statedOrientation(payload)
      }
      return true
    }
    return exif ?? texts.orientation ?? .upright
  }

  private func word(_ offset: Int) -> UInt32 {
    bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

extension vlm_image_status {
  /// Converts a status of the C code to an error.
  func check(
    _ format: ImageFormat, _ message: vlm_image_message, name: String, bytes: Int
  ) throws(ImageError) {
    if self == VLM_IMAGE_OK { return }
    let text = message.string
    switch self {
    case VLM_IMAGE_NO_MEMORY: throw ImageError(name: name, problem: .noMemory(bytes: bytes))
    case VLM_IMAGE_UNSUPPORTED: throw ImageError(name: name, problem: .unsupported(format, text))
    case VLM_IMAGE_DAMAGED: throw ImageError(name: name, problem: .damaged(format, text))
    default: throw ImageError(name: name, problem: .corrupt(format, text))
    }
  }
}

extension vlm_image_message {
  var string: String {
    withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension vlm_image_damage {
  func notes(_ format: ImageFormat, height: Int) -> [DecodingNote] {
    if lost_rows > 0 { return [.lostRows(format, Int(lost_rows), of: height, message.string)] }
    if has_bad_checksum { return [.unchecked(format, message.string)] }
    return lacks_end ? [.noEndMarker(format)] : []
  }
}
