/// What CLIP's tokenizer does to text before it cuts it into words.
enum CLIPText {
  /// Marks the last piece of a word.
  static let wordEnd = Array("</w>".utf8)

  /// Runs of white space become one space, those at the ends none; letters become small.
  ///
  /// The reference also repairs text with the `ftfy` library and resolves HTML entities. Of that the
  /// curly quotes, the most common thing it changes, are made straight, and the five entities of
  /// XML are resolved; mangled encodings stay as they are.
  static func cleaned(_ text: [UInt8]) -> [UInt8] {
    var repaired = String(decoding: text, as: UTF8.self)
    for _ in 0..<2 where repaired.utf8.contains(UInt8(ascii: "&")) {
      repaired = resolved(repaired)
    }
    var result: [UInt8] = []
    var isSpaceDue = false
    for scalar in repaired.unicodeScalars {
      if scalar.properties.isWhitespace {
        isSpaceDue = true
        continue
      }
      if isSpaceDue, !result.isEmpty { result.append(0x20) }
      isSpaceDue = false
      switch scalar {
      case "\u{2018}", "\u{2019}", "\u{201a}", "\u{201b}": result.append(UInt8(ascii: "'"))
      case "\u{201c}", "\u{201d}", "\u{201e}", "\u{201f}": result.append(UInt8(ascii: "\""))
      default: result += scalar.properties.lowercaseMapping.utf8
      }
    }
    return result
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
