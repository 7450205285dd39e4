/// The printable stand-ins that GPT-2's vocabulary files have for bytes.
///
/// Bytes 33 to 126, 161 to 172 and 174 to 255 stand for themselves as characters; the others, in
/// order, are U+0100 and up.
enum ByteLevelText {
  /// The byte of each stand-in below U+0144; nil where none is.
  private static let byteOfScalar: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 0x144)
    var next = 0x100
    for byte in 0..<256 {
      switch byte {
      case 33...126, 161...172, 174...255: table[byte] = UInt8(byte)
      default:
        table[next] = UInt8(byte)
        next += 1
      }
    }
    return table
  }()

  private static let scalarOfByte: [Unicode.Scalar] = {
    var table = [Unicode.Scalar](repeating: "?", count: 256)
    for (scalar, byte) in byteOfScalar.enumerated() {
      if let byte, let scalar = Unicode.Scalar(UInt32(scalar)) { table[Int(byte)] = scalar }
    }
    return table
  }()

  /// The bytes of a piece; a piece with any other character, as added tokens have, is its UTF-8.
  ///
  /// - Parameter suffix: whether `</w>` at the end is a mark and stays as it is. Its characters are
  ///   their own stand-ins, so the bytes are the same either way.
  static func bytes(of piece: String, suffix: Bool = false) -> [UInt8] {
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

  /// The stand-ins of `bytes`.
  static func standIns(of bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes { text.unicodeScalars.append(scalarOfByte[Int(byte)]) }
    return text
  }
}
