/// How Google's image and text models have their texts: `canonicalize_text` of big_vision, which
/// transformers' `SiglipTokenizer` and open_clip repeat.
enum CanonicalText {
  /// The text without ASCII's punctuation, in lower case as Python's `str.lower` has it, each run of
  /// white space one space, and none at the end.
  ///
  /// - Parameter lowers: whether letters are lower-cased.
  static func canonical(_ text: [UInt8], lowers: Bool) -> [UInt8] {
    made(text, lowers: lowers, dropsPunctuation: true)
  }

  /// Each run of white space as one space, and none at the end.
  static func spaced(_ text: [UInt8]) -> [UInt8] {
    made(text, lowers: false, dropsPunctuation: false)
  }

  private static func made(_ text: [UInt8], lowers: Bool, dropsPunctuation: Bool) -> [UInt8] {
    let scalars = Array(String(decoding: text, as: UTF8.self).unicodeScalars)
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var isSpaceDue = false
    for (index, scalar) in scalars.enumerated()
    where !dropsPunctuation || !isPunctuation(scalar) {
      if scalar.properties.isWhitespace {
        isSpaceDue = true
        continue
      }
      if isSpaceDue { result.append(0x20) }
      isSpaceDue = false
      if lowers {
        result += CLIPText.lowercased(scalar, at: index, in: scalars)
      } else {
        result += scalar.utf8
      }
    }
    return result
  }

  /// A space for each low line.
  static func withoutLowLines(_ text: String) -> [UInt8] {
    text.utf8.map { $0 == UInt8(ascii: "_") ? 0x20 : $0 }
  }

  /// Each run of spaces as one, and none at the end.
  static func collapsed(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for byte in text where byte != 0x20 || result.last != 0x20 { result.append(byte) }
    if result.last == 0x20 { result.removeLast() }
    return result
  }

  /// Python's `string.punctuation`.
  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e: true
    default: false
    }
  }
}
