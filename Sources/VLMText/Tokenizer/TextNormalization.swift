/// A normalization step of a tokenizer, applied before pre-tokenization.
package enum TextNormalization: UInt32, Sendable {
  /// Unicode NFC.
  case composed = 7
  /// Unicode NFD.
  case decomposed = 8
  /// Lower-cases each character independently: a final sigma is not treated specially.
  case lowercased = 9
  /// Removes white space at the start, or at the end.
  case strippedLeft = 10
  case strippedRight = 11
  /// Replaces strings by `TokenizerParts.characterMap`.
  case mapped = 14
  /// Makes each run of spaces one, and removes those at the end.
  case collapsed = 15
  /// What `CanonicalText.canonical` makes of the text, in lower case or as it is.
  case canonical = 16
  case canonicalCased = 17
  /// The text as CLIP's reference repairs it; the same with a space for each low line.
  case repaired = 18
  case repairedLines = 19
  /// Makes each run of white space one space, and removes those at the end.
  case spaced = 20

  /// Whether readers of the first two versions of the section do not know it.
  var isNewest: Bool { rawValue >= Self.mapped.rawValue }

  /// - Parameters:
  ///   - text: valid UTF-8.
  ///   - map: what `.mapped` replaces.
  func callAsFunction(_ text: [UInt8], _ map: CharacterMap? = nil) -> [UInt8] {
    switch self {
    case .composed: return CanonicalForm.composed(text)
    case .decomposed: return CanonicalForm.decomposed(text)
    case .lowercased:
      return String(decoding: text, as: UTF8.self).unicodeScalars
        .flatMap { $0.properties.lowercaseMapping.utf8 }
    case .strippedLeft: return Array(text[UTF8Text.endOfSpaces(text, from: 0)...])
    case .strippedRight: return Array(text[..<UTF8Text.startOfSpaces(text, endingAt: text.count)])
    case .mapped: return map?(text) ?? text
    case .collapsed: return CanonicalText.collapsed(text)
    case .canonical: return CanonicalText.canonical(text, lowers: true)
    case .canonicalCased: return CanonicalText.canonical(text, lowers: false)
    case .repaired: return Array(CLIPText.repairedText(text).utf8)
    case .repairedLines: return CanonicalText.withoutLowLines(CLIPText.repairedText(text))
    case .spaced: return CanonicalText.spaced(text)
    }
  }

  /// Maps offsets in a text to the changed text, in linear time.
  ///
  /// - Parameters:
  ///   - places: ascending offsets, alternately starts and ends of ranges.
  ///   - text: valid UTF-8.
  /// - Returns: as many offsets. If there are too many combining marks to map offsets in linear
  ///   time, the rest of the text after the start of a range counts as part of it.
  func mapOffsets(_ places: [Int], in text: [UInt8], _ map: CharacterMap? = nil) -> [Int] {
    switch self {
    case .strippedLeft:
      let first = UTF8Text.endOfSpaces(text, from: 0)
      return places.map { max(0, $0 - first) }
    case .strippedRight:
      let end = UTF8Text.startOfSpaces(text, endingAt: text.count)
      return places.map { min(end, $0) }
    // Each character is changed independently.
    case .decomposed, .lowercased:
      var (start, count) = (0, 0)
      return places.map { place in
        count += self(Array(text[start..<place]), map).count
        start = place
        return count
      }
    // No model that reads messages has these: the whole text counts as one.
    case .mapped, .collapsed, .canonical, .canonicalCased, .repaired, .repairedLines, .spaced:
      return places.indices.map { $0 % 2 == 0 ? 0 : .max }
    case .composed: return Self.composed(places, in: text)
    }
  }

  private static func composed(_ places: [Int], in text: [UInt8]) -> [Int] {
    var mapped: [Int] = []
    // `start` is at an ASCII character, which never composes with the text before it.
    var (start, count, seen) = (0, 0, 0)
    // Limit of bytes examined. Ordinary text stays far below; the limit keeps long texts linear.
    var work = 4 * text.count + (1 << 22)
    for place in places {
      if let ascii = text[seen..<place].lastIndex(where: { $0 < 0x80 }) {
        count += CanonicalForm.composed(Array(text[start..<ascii])).count
        start = ascii
      }
      seen = place
      work -= place - start
      guard work >= 0 else {
        if mapped.count % 2 == 0 { mapped.append(count) }
        mapped += repeatElement(.max, count: places.count - mapped.count)
        break
      }
      mapped.append(count + CanonicalForm.composed(Array(text[start..<place])).count)
    }
    return mapped
  }
}
