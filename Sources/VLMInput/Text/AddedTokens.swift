/// Finds added tokens in text: the leftmost, of those that begin there the longest.
struct AddedTokens: Sendable {
  private struct Entry: Sendable {
    let content: [UInt8]
    let token: AddedToken
  }

  /// A stretch of text, or a token that stood there.
  enum Segment: Equatable {
    case text(Range<Int>)
    case token(Int)
  }

  /// By content, ascending.
  private let entries: [Entry]
  /// Entries by first byte.
  private let starts: [Range<Int>]
  private var specials: [Int: Bool] = [:]

  init(_ tokens: [(token: AddedToken, content: [UInt8])]) {
    let entries = tokens.filter { !$0.content.isEmpty }
      .map { Entry(content: $0.content, token: $0.token) }
      .sorted { $0.content.lexicographicallyPrecedes($1.content) }
    var starts = [Range<Int>](repeating: 0..<0, count: 256)
    var index = 0
    while index < entries.count {
      let byte = entries[index].content[0]
      let first = index
      while index < entries.count, entries[index].content[0] == byte { index += 1 }
      starts[Int(byte)] = first..<index
    }
    self.entries = entries
    self.starts = starts
    for (token, _) in tokens { specials[token.id] = token.flags.contains(.special) }
  }

  var isEmpty: Bool { entries.isEmpty }

  var hasSpecial: Bool { specials.values.contains(true) }

  /// Nil for an id that is no added token.
  func isSpecial(_ id: Int) -> Bool? { specials[id] }

  /// The text cut at added tokens. Empty stretches are left out.
  ///
  /// A token that must stand alone and does not is text as a whole: no shorter one is looked for in it.
  ///
  /// - Parameters:
  ///   - text: valid UTF-8.
  ///   - said: ascending stretches in which no byte belongs to a special token.
  func split(_ text: [UInt8], said: [Range<Int>] = []) -> [Segment] {
    guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var segments: [Segment] = []
    var start = 0
    var at = 0
    var next = 0
    while at < text.count {
      while next < said.count, said[next].upperBound <= at { next += 1 }
      let limit = next < said.count ? said[next].lowerBound : text.count
      guard let (entry, end) = match(text, at, limit) else {
        at += 1
        continue
      }
      guard fits(entry, text, at, end) else {
        at = end
        continue
      }
      var (first, last) = (at, end)
      if entry.token.flags.contains(.stripsLeft) {
        first = UTF8Text.startOfSpaces(text, from: start, endingAt: at)
      }
      if entry.token.flags.contains(.stripsRight) {
        last = UTF8Text.endOfSpaces(text, from: end)
      }
      if first > start { segments.append(.text(start..<first)) }
      segments.append(.token(entry.token.id))
      // A token may begin in the white space that the one before it takes along.
      (start, at) = (last, end)
    }
    if start < text.count { segments.append(.text(start..<text.count)) }
    return segments
  }

  /// Narrows the sorted entries byte by byte; the longest that ends on the way wins.
  ///
  /// - Parameter limit: where special tokens end at the latest.
  private func match(_ text: [UInt8], _ at: Int, _ limit: Int) -> (Entry, Int)? {
    var range = starts[Int(text[at])]
    var best: (Entry, Int)?
    var depth = 1
    while !range.isEmpty {
      let first = entries[range.lowerBound]
      if first.content.count == depth,
        at + depth <= limit || !first.token.flags.contains(.special)
      {
        best = (first, at + depth)
      }
      guard at + depth < text.count else { break }
      let byte = text[at + depth]
      let lower = bound(range) { $0.count <= depth || $0[depth] < byte }
      let upper = bound(lower..<range.upperBound) { $0[depth] <= byte }
      range = lower..<upper
      depth += 1
    }
    return best
  }

  /// The first entry of a sorted range for which `isBefore` does not hold.
  private func bound(_ range: Range<Int>, _ isBefore: ([UInt8]) -> Bool) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(entries[middle].content) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func fits(_ entry: Entry, _ text: [UInt8], _ start: Int, _ end: Int) -> Bool {
    guard entry.token.flags.contains(.singleWord) else { return true }
    let neighbours = [UTF8Text.scalar(text, before: start), UTF8Text.scalar(text, at: end)]
    return !neighbours.contains { $0.map(Self.isWord) ?? false }
  }

  /// `\w` of Unicode's regular expressions (UTS #18, annex C).
  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: scalar.properties.isAlphabetic || scalar.properties.isJoinControl
    }
  }
}
