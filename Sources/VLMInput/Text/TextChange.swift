/// How a tokenizer's text is changed before it is cut into words.
package enum TextChange: UInt32, Sendable {
  /// Unicode's form C.
  case composed = 7
  /// Unicode's form D.
  case decomposed = 8
  /// Each character small by itself: a sigma that ends a word as any other.
  case lowercased = 9
  /// Without white space at the start, at the end.
  case strippedLeft = 10
  case strippedRight = 11

  /// - Parameter text: valid UTF-8.
  func callAsFunction(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .composed: return CanonicalForm.composed(text)
    case .decomposed: return CanonicalForm.decomposed(text)
    case .lowercased:
      return String(decoding: text, as: UTF8.self).unicodeScalars
        .flatMap { $0.properties.lowercaseMapping.utf8 }
    case .strippedLeft: return Array(text[UTF8Text.endOfSpaces(text, from: 0)...])
    case .strippedRight: return Array(text[..<UTF8Text.startOfSpaces(text, endingAt: text.count)])
    }
  }
}
