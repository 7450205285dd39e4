/// GPT-2's mapping of bytes to printable characters in vocabulary files.
///
/// Bytes 33 to 126, 161 to 172 and 174 to 255 map to the same code points; the others map in order
/// to U+0100 and up.
enum ByteLevelText {
  /// The byte of each mapped character below U+0144; nil for other characters.
  private static let byteOfScalar: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 0x144)
    var next = 0x100
    for byte in 0..<256 {
      if isPrintable(UInt8(byte)) {
        table[byte] = UInt8(byte)
      } else {
        table[next] = UInt8(byte)
        next += 1
      }
    }
    return table
  }()

  /// Whether a byte maps to the same code point.
  static func isPrintable(_ byte: UInt8) -> Bool {
    switch byte {
    case 33...126, 161...172, 174...255: true
    default: false
    }
  }

  /// The mapped characters of `bytes`, as UTF-8.
  static func mappedCharacters(of bytes: [UInt8]) -> [UInt8] {
    bytes.flatMap { standInOfByte[Int($0)] }
  }

  private static let standInOfByte: [[UInt8]] = {
    var table = [[UInt8]](repeating: [], count: 256)
    for (value, byte) in byteOfScalar.enumerated() {
      guard let byte, let scalar = Unicode.Scalar(UInt32(value)) else { continue }
      table[Int(byte)] = Array(String(scalar).utf8)
    }
    return table
  }()

  /// The bytes of a piece. A piece with unmapped characters, such as an added token, is its UTF-8
  /// text.
  static func bytes(of piece: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.utf8.count)
    for scalar in piece.unicodeScalars {
      guard scalar.value < 0x144, let byte = byteOfScalar[Int(scalar.value)] else {
        return Array(piece.utf8)
      }
      bytes.append(byte)
    }
    return bytes
  }
}
