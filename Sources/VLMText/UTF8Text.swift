/// Decodes UTF-8 in text known to be valid, and classifies arbitrary bytes.
enum UTF8Text {
  /// The space of SentencePiece, U+2581.
  static let spaceMark: [UInt8] = [0xe2, 0x96, 0x81]
  /// U+FFFD.
  static let replacement: [UInt8] = [0xef, 0xbf, 0xbd]

  /// The scalar at `offset` of valid UTF-8, and its length in bytes.
  static func scalar(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int
  ) -> (scalar: Unicode.Scalar, count: Int) {
    let first = UInt32(bytes[offset])
    let count = sequenceLength(bytes[offset])
    guard offset + count <= bytes.count else { return ("\u{fffd}", 1) }
    func tail(_ index: Int) -> UInt32 { UInt32(bytes[offset + index]) & 0x3f }
    let value: UInt32 =
      switch count {
      case 1: first
      case 2: (first & 0x1f) << 6 | tail(1)
      case 3: (first & 0x0f) << 12 | tail(1) << 6 | tail(2)
      default: (first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)
      }
    return (Unicode.Scalar(value) ?? "\u{fffd}", count)
  }

  /// Length of the sequence that starts with this byte in valid UTF-8.
  static func sequenceLength(_ lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  }

  /// The scalar that starts at `offset` of valid UTF-8; nil at the end.
  static func scalar(_ text: [UInt8], at offset: Int) -> Unicode.Scalar? {
    guard offset < text.count else { return nil }
    return text.withUnsafeBytes { scalar($0, offset).scalar }
  }

  /// The scalar that ends at `offset` of valid UTF-8; nil at the start.
  static func scalar(_ text: [UInt8], before offset: Int) -> Unicode.Scalar? {
    guard offset > 0 else { return nil }
    var start = offset - 1
    while start > 0, text[start] & 0xc0 == 0x80 { start -= 1 }
    return scalar(text, at: start)
  }

  /// The end of the white space that starts at `start`.
  static func endOfSpaces(_ text: [UInt8], from start: Int) -> Int {
    var end = start
    while let scalar = scalar(text, at: end), scalar.properties.isWhitespace {
      end += sequenceLength(text[end])
    }
    return end
  }

  /// The start of the white space that ends at `end`, searching back to `first` at most.
  static func startOfSpaces(_ text: [UInt8], from first: Int = 0, endingAt end: Int) -> Int {
    var start = end
    while start > first, let scalar = scalar(text, before: start), scalar.properties.isWhitespace {
      start -= UTF8.width(scalar)
    }
    return start
  }

  /// Classifies the start of `bytes`.
  enum Prefix: Equatable {
    /// A character of this many bytes.
    case character(Int)
    /// An invalid sequence of this many bytes, at least one.
    case invalid(Int)
    /// All of `bytes` are an incomplete character.
    case incomplete
  }

  /// Unicode's table 3-7: the maximal prefix of a well-formed sequence counts as one invalid part.
  static func prefix<Bytes: Collection>(_ bytes: Bytes) -> Prefix where Bytes.Element == UInt8 {
    guard let lead = bytes.first else { return .incomplete }
    var second: ClosedRange<UInt8> = 0x80...0xbf
    let length: Int
    switch lead {
    case 0x00...0x7f: return .character(1)
    case 0xc2...0xdf: length = 2
    case 0xe0...0xef:
      length = 3
      if lead == 0xe0 { second = 0xa0...0xbf }
      if lead == 0xed { second = 0x80...0x9f }
    case 0xf0...0xf4:
      length = 4
      if lead == 0xf0 { second = 0x90...0xbf }
      if lead == 0xf4 { second = 0x80...0x8f }
    default: return .invalid(1)
    }
    for (index, byte) in bytes.enumerated() where index > 0 {
      if index == length { break }
      let allowed = index == 1 ? second : 0x80...0xbf
      if !allowed.contains(byte) { return .invalid(index) }
      if index + 1 == length { return .character(length) }
    }
    return .incomplete
  }
}
