/// Portable bitmaps, graymaps and pixmaps, P1 to P6, with any maximum up to 65535. Values are
/// scaled as in Pillow, in double precision with rounding half to even: gray beyond 8 bits to 16,
/// everything else to 8.
final class PNMReader: RowReader {
  let header: ImageHeader
  let workingBytes: Int
  var notes: [DecodingNote] { lost.notes(height: header.height) }
  private let file: PixelBuffer
  private let name: String
  /// The format's digit, 1 to 6.
  private let kind: Int
  /// Bytes per stored sample: 2 if the maximum exceeds 255.
  private let sampleBytes: Int
  private let maximum: Int
  /// Lookup table from stored values to samples.
  private let levels: [UInt16]
  private var offset: Int
  private var lost: LostRows

  init(_ file: PixelBuffer, name: String, limits: ImageLimits) throws(ImageError) {
    let bytes = file.contents
    var scanner = Scanner(bytes: bytes, offset: 2)
    func number(_ what: String) throws(ImageError) -> Int {
      guard let value = scanner.headerNumber() else {
        throw ImageError(
          name: name, problem: .corrupt(.pnm, "the header has no \(what), expected a number"))
      }
      return value
    }
    kind = Int(bytes[1]) - 0x30
    let width = try number("width")
    let height = try number("height")
    maximum = kind % 3 == 1 ? 1 : try number("maximum")
    guard width > 0, height > 0, (1..<65_536).contains(maximum) else {
      throw ImageError(
        name: name,
        problem: .corrupt(
          .pnm, "the header says \(width) x \(height), maximum \(maximum), expected 1 to 65535"))
    }
    _ = try limits.pixels(width: width, height: height, of: name)
    let isColor = kind % 3 == 0
    let depth = !isColor && maximum > 255 ? 16 : 8
    header = ImageHeader(
      width: width, height: height, model: isColor ? .rgb : .gray, depth: depth)
    sampleBytes = maximum > 255 ? 2 : 1
    let top = depth == 16 ? 65_535.0 : 255.0
    let stated = Double(maximum)
    levels = (0...(maximum > 255 ? 65_535 : 255)).map { value in
      UInt16(min(top, (Double(value) / stated * top).rounded(.toNearestOrEven)))
    }
    workingBytes = levels.count * 2
    offset = scanner.offset
    lost = LostRows(.pnm, name: name, limits: limits)
    self.file = file
    self.name = name
  }

  func finish() throws(ImageError) { try lost.check(height: header.height) }

  func read(rows: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
    for index in 0..<rows {
      let start = index * header.rowBytes
      let row = UnsafeMutableRawBufferPointer(
        rebasing: buffer[start..<start + header.rowBytes])
      let isWhole =
        kind <= 3 ? try readPlain(into: row) : kind == 4 ? readBits(into: row) : readRaw(into: row)
      if !isWhole {
        offset = file.bytes.count
        try lost.add(1, "the rows end early")
        for index in 0..<row.count { row[index] = 0 }
      }
    }
  }

  private var samples: Int { header.width * header.model.channels }

  private func put(_ value: Int, _ index: Int, _ row: UnsafeMutableRawBufferPointer) {
    if header.depth == 16 {
      row.storeBytes(of: levels[value], toByteOffset: index * 2, as: UInt16.self)
    } else {
      row[index] = UInt8(truncatingIfNeeded: levels[value])
    }
  }

  /// In a bitmap, 1 is black.
  private func readBits(into row: UnsafeMutableRawBufferPointer) -> Bool {
    let source = ImageBytes(bytes: file.contents).slice(offset, (header.width + 7) / 8)
    guard source.count == (header.width + 7) / 8 else { return false }
    offset += source.count
    for x in 0..<header.width { row[x] = source[x / 8] >> UInt8(7 - x % 8) & 1 == 1 ? 0 : 255 }
    return true
  }

  private func readRaw(into row: UnsafeMutableRawBufferPointer) -> Bool {
    let source = ImageBytes(bytes: file.contents).slice(offset, samples * sampleBytes)
    guard source.count == samples * sampleBytes else { return false }
    offset += source.count
    if sampleBytes == 1 {
      for index in 0..<samples { put(Int(source[index]), index, row) }
    } else {
      for index in 0..<samples {
        put(Int(source[index * 2]) << 8 | Int(source[index * 2 + 1]), index, row)
      }
    }
    return true
  }

  private func readPlain(into row: UnsafeMutableRawBufferPointer) throws(ImageError) -> Bool {
    var scanner = Scanner(bytes: file.contents, offset: offset)
    for index in 0..<samples {
      guard let value = kind == 1 ? scanner.digit() : scanner.number() else {
        guard scanner.isAtEnd else {
          throw ImageError(
            name: name,
            problem: .corrupt(.pnm, "found no number at byte \(scanner.offset), expected a sample"))
        }
        return false
      }
      guard value <= maximum else {
        throw ImageError(
          name: name,
          problem: .corrupt(.pnm, "a sample of \(value), above the maximum of \(maximum)"))
      }
      if kind == 1 { row[index] = value == 1 ? 0 : 255 } else { put(value, index, row) }
    }
    offset = scanner.offset
    return true
  }

  /// Scans numbers separated by white space and comments.
  private struct Scanner {
    let bytes: UnsafeRawBufferPointer
    var offset: Int

    var isAtEnd: Bool { offset >= bytes.count }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (9...13).contains(byte) }

    private mutating func skipSpace() {
      while offset < bytes.count {
        if bytes[offset] == UInt8(ascii: "#") {
          while offset < bytes.count, bytes[offset] != 10, bytes[offset] != 13 { offset += 1 }
        } else if !Self.isSpace(bytes[offset]) {
          return
        } else {
          offset += 1
        }
      }
    }

    /// A number of up to ten digits, terminated by white space, a comment or the end of the file.
    mutating func number() -> Int? {
      skipSpace()
      var value = 0
      let start = offset
      while offset < bytes.count, (0x30...0x39).contains(bytes[offset]) {
        guard offset - start < 10 else { return nil }
        value = value * 10 + Int(bytes[offset]) - 0x30
        offset += 1
      }
      guard offset > start else { return nil }
      guard offset == bytes.count || Self.isSpace(bytes[offset]) || bytes[offset] == 0x23 else {
        return nil
      }
      return value
    }

    /// A number and the single white space character, or the comment, after it.
    mutating func headerNumber() -> Int? {
      guard let value = number() else { return nil }
      if offset < bytes.count, bytes[offset] == 0x23 {
        while offset < bytes.count, bytes[offset] != 10, bytes[offset] != 13 { offset += 1 }
      }
      offset = min(offset + 1, bytes.count)
      return value
    }

    mutating func digit() -> Int? {
      skipSpace()
      guard offset < bytes.count, (0x30...0x31).contains(bytes[offset]) else { return nil }
      offset += 1
      return Int(bytes[offset - 1]) - 0x30
    }
  }
}
