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

  /// Where places of a text lie in what becomes of it. Linear in the text.
  ///
  /// - Parameters:
  ///   - places: ascending, where stretches begin and end in turns.
  ///   - text: valid UTF-8.
  /// - Returns: as many; where letters and marks are so many that the places among them could not be
  ///   told in linear time, what follows the beginning of a stretch is all within it.
  func moved(_ places: [Int], in text: [UInt8]) -> [Int] {
    switch self {
    case .strippedLeft:
      let first = UTF8Text.endOfSpaces(text, from: 0)
      return places.map { max(0, $0 - first) }
    case .strippedRight:
      let end = UTF8Text.startOfSpaces(text, endingAt: text.count)
      return places.map { min(end, $0) }
    // Each character by itself.
    case .decomposed, .lowercased:
      var (start, count) = (0, 0)
      return places.map { place in
        count += self(Array(text[start..<place])).count
        start = place
        return count
      }
    case .composed: return Self.composed(places, in: text)
    }
  }

  private static func composed(_ places: [Int], in text: [UInt8]) -> [Int] {
    var moved: [Int] = []
    // What lies before `start`, a character of ASCII, is joined with nothing behind it.
    var (start, count, seen) = (0, 0, 0)
    // Bytes looked at: any ordinary text is far below, and a long one stays linear.
    var work = 4 * text.count + (1 << 22)
    for place in places {
      if let ascii = text[seen..<place].lastIndex(where: { $0 < 0x80 }) {
        count += CanonicalForm.composed(Array(text[start..<ascii])).count
        start = ascii
      }
      seen = place
      work -= place - start
      guard work >= 0 else {
        if moved.count % 2 == 0 { moved.append(count) }
        moved += repeatElement(.max, count: places.count - moved.count)
        break
      }
      moved.append(count + CanonicalForm.composed(Array(text[start..<place])).count)
    }
    return moved
  }
}
