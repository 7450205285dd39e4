/// Text normalization of CLIP's tokenizer.
enum CLIPText {
  /// Marks the last piece of a word.
  static let wordEnd = Array("</w>".utf8)

  /// Collapses and trims white space, and lower-cases letters.
  ///
  /// The reference first repairs text with the `ftfy` library and resolves HTML entities.
  /// Implemented here: NFC, straight quotes, ligatures and full-width letters, removal of control
  /// characters and terminal colours, and XML's five entities. Mojibake is not repaired.
  static func cleaned(_ text: [UInt8]) -> [UInt8] {
    let scalars = Array(repairedText(text).unicodeScalars)
    var result: [UInt8] = []
    var isSpaceDue = false
    for (index, scalar) in scalars.enumerated() {
      if scalar.properties.isWhitespace {
        isSpaceDue = true
        continue
      }
      if isSpaceDue, !result.isEmpty { result.append(0x20) }
      isSpaceDue = false
      result += lowercased(scalar, at: index, in: scalars)
    }
    return result
  }

  /// The text as the reference repairs it, before anything else is done to it.
  static func repairedText(_ text: [UInt8]) -> String {
    var repaired = repaired(String(decoding: text, as: UTF8.self))
    for _ in 0..<2 where repaired.utf8.contains(UInt8(ascii: "&")) {
      repaired = resolved(repaired)
    }
    return repaired
  }

  /// A letter in lower case, as Python's `str.lower` has it.
  static func lowercased(
    _ scalar: Unicode.Scalar, at index: Int, in scalars: [Unicode.Scalar]
  ) -> String.UTF8View {
    guard scalar == "\u{03a3}", isFinal(index, in: scalars) else {
      return scalar.properties.lowercaseMapping.utf8
    }
    return "\u{03c2}".utf8
  }

  /// Whether a sigma ends a word and takes its final form.
  private static func isFinal(_ index: Int, in scalars: [Unicode.Scalar]) -> Bool {
    func isLetter(_ at: Int) -> Bool {
      scalars.indices.contains(at) && scalars[at].properties.isAlphabetic
    }
    return isLetter(index - 1) && !isLetter(index + 1)
  }

  private static let entities: [(name: [UInt8], value: UInt8)] = [
    (Array("&amp;".utf8), UInt8(ascii: "&")), (Array("&lt;".utf8), UInt8(ascii: "<")),
    (Array("&gt;".utf8), UInt8(ascii: ">")), (Array("&quot;".utf8), UInt8(ascii: "\"")),
    (Array("&#39;".utf8), UInt8(ascii: "'")),
  ]

  private static func resolved(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var at = 0
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "&"),
        let entity = entities.first(where: { bytes[at...].starts(with: $0.name) })
      {
        result.append(entity.value)
        at += entity.name.count
      } else {
        result.append(bytes[at])
        at += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
