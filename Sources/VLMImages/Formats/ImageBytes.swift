/// The bytes of an image file, read at offsets that come from the file itself.
struct ImageBytes {
  let bytes: UnsafeRawBufferPointer

  var count: Int { bytes.count }

  /// Nil beyond the end, as below.
  func byte(_ offset: Int) -> Int? {
    bytes.indices.contains(offset) ? Int(bytes[offset]) : nil
  }

  /// Little-endian, like every format read this way.
  func short(_ offset: Int) -> Int? {
    guard offset >= 0, offset <= count - 2 else { return nil }
    return Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
  }

  func long(_ offset: Int) -> UInt32? {
    guard offset >= 0, offset <= count - 4 else { return nil }
    return (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
  }

  /// Up to `length` bytes from `offset` on, as far as the file has them.
  func slice(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
    let start = min(max(0, offset), count)
    return UnsafeRawBufferPointer(
      rebasing: bytes[start..<start + min(max(0, length), count - start)])
  }
}

extension PixelBuffer {
  var contents: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes) }
}

/// Counts the rows that a reader has lost to a truncated or damaged file.
struct LostRows {
  let format: ImageFormat
  let name: String
  let accepts: Bool
  private(set) var count = 0
  private var reason = ""

  init(_ format: ImageFormat, name: String, limits: ImageLimits) {
    self.format = format
    self.name = name
    accepts = limits.acceptsDamage
  }

  /// - Throws: `.damaged` if damage is not accepted.
  mutating func add(_ rows: Int, _ reason: String) throws(ImageError) {
    guard accepts else {
      throw ImageError(name: name, problem: .damaged(format, reason))
    }
    if count == 0 { self.reason = reason }
    count += rows
  }

  /// - Throws: `.corrupt` if no row is left.
  func check(height: Int) throws(ImageError) {
    guard count < height else {
      throw ImageError(name: name, problem: .corrupt(format, reason))
    }
  }

  func notes(height: Int) -> [DecodingNote] {
    count == 0 ? [] : [.lostRows(format, count, of: height, reason)]
  }
}
