/// Finds added tokens in text: the leftmost match, and the longest of those that start there.
struct AddedTokens: Sendable {
  private struct Entry: Sendable {
    /// Byte length of its text.
    let count: Int
    let token: AddedToken
  }

  /// A part of the text, or an added token.
  enum Segment: Equatable {
    case text(Range<Int>)
    case token(Int)
  }

  private let entries: [Entry]
  /// Indices of special entries, and of the others.
  private let special: LongestMatches
  private let others: LongestMatches
  private var specials: [Int: Bool] = [:]
  let hasSpecial: Bool

  /// Minimum window size of a search, in bytes.
  private static let window = 1 << 14

  init(_ tokens: [(token: AddedToken, content: [UInt8])]) {
    let entries = tokens.filter { !$0.content.isEmpty }
      .map { Entry(count: $0.content.count, token: $0.token) }
    let contents = tokens.lazy.map(\.content).filter { !$0.isEmpty }.enumerated()
      .map { (number: Int32($0.offset), bytes: $0.element) }
    func isSpecial(_ number: Int32) -> Bool {
      entries[Int(number)].token.flags.contains(.special)
    }
    self.entries = entries
    special = LongestMatches(contents.filter { isSpecial($0.number) })
    others = LongestMatches(contents.filter { !isSpecial($0.number) })
    for (token, _) in tokens { specials[token.id] = token.flags.contains(.special) }
    hasSpecial = specials.values.contains(true)
  }

  var isEmpty: Bool { entries.isEmpty }

  /// Byte length of the longest token.
  var longest: Int { max(special.length, others.length) }

  /// Nil if the id is not an added token.
  func isSpecial(_ id: Int) -> Bool? { specials[id] }

  /// Splits text at added tokens. Empty parts are omitted. Takes linear time.
  ///
  /// A token that must stand alone but does not is treated as text; shorter tokens are not searched
  /// within it.
  ///
  /// - Parameters:
  ///   - text: valid UTF-8.
  ///   - messages: ascending ranges of message text, in which special tokens are not recognised.
  func split(_ text: [UInt8], messages: [Range<Int>] = []) -> [Segment] {
    guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var segments: [Segment] = []
    var start = 0
    var at = 0
    /// End of the white space already scanned.
    var spaces = 0..<0
    /// Matches in the window that ends at `seen`, in descending order of position.
    var found: [Match] = []
    var seen = 0
    while true {
      while let match = found.last, match.place < at { found.removeLast() }
      guard let match = found.popLast() else {
        at = max(at, seen)
        guard at < text.count else { break }
        let size = max(Self.window, longest)
        seen = at + min(size, text.count - at)
        found = matches(text, messages, at..<seen)
        continue
      }
      let entry = entries[match.entry]
      let end = match.place + entry.count
      guard fits(entry, text, match.place, end) else {
        at = end
        continue
      }
      var (first, last) = (match.place, end)
      if entry.token.flags.contains(.stripsLeft) {
        first = UTF8Text.startOfSpaces(text, from: start, endingAt: match.place)
      }
      if entry.token.flags.contains(.stripsRight) {
        if !spaces.contains(end) { spaces = end..<UTF8Text.endOfSpaces(text, from: end) }
        last = spaces.upperBound
      }
      if first > start { segments.append(.text(start..<first)) }
      segments.append(.token(entry.token.id))
      // A token may begin in the white space that the previous token absorbs.
      (start, at) = (last, end)
    }
    if start < text.count { segments.append(.text(start..<text.count)) }
    return segments
  }

  private struct Match {
    let place: Int
    let entry: Int
  }

  /// The longest token at each position of `window` that has one, in descending order of position.
  private func matches(
    _ text: [UInt8], _ messages: [Range<Int>], _ window: Range<Int>
  ) -> [Match] {
    var found: [Match] = []
    let reach = longest - 1
    var at = window.upperBound + min(reach, text.count - window.upperBound)
    var (state, other): (Int32, Int32) = (0, 0)
    var next = Self.count(messages, before: at)
    text.withUnsafeBufferPointer { text in
      while at > window.lowerBound {
        at -= 1
        while next > 0, messages[next - 1].lowerBound > at { next -= 1 }
        let isMessage = next > 0 && messages[next - 1].upperBound > at
        state = isMessage ? 0 : special.step(from: state, text[at])
        other = others.step(from: other, text[at])
        guard state != 0 || other != 0, at < window.upperBound else { continue }
        switch (special.match(state), others.match(other)) {
        case (nil, nil): break
        case (let entry?, nil), (nil, let entry?): found.append(Match(place: at, entry: entry))
        case (let a?, let b?):
          let isFirst =
            entries[a].count == entries[b].count ? a < b : entries[a].count > entries[b].count
          found.append(Match(place: at, entry: isFirst ? a : b))
        }
      }
    }
    return found
  }

  /// Number of the ascending ranges that begin before `place`.
  private static func count(_ ranges: [Range<Int>], before place: Int) -> Int {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].lowerBound < place { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func fits(_ entry: Entry, _ text: [UInt8], _ start: Int, _ end: Int) -> Bool {
    guard entry.token.flags.contains(.singleWord) else { return true }
    let neighbours = [UTF8Text.scalar(text, before: start), UTF8Text.scalar(text, at: end)]
    return !neighbours.contains { $0.map(Self.isWord) ?? false }
  }

  /// Whether the scalar matches `\w` of Unicode's regular expressions (UTS #18, annex C).
  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: scalar.properties.isAlphabetic || scalar.properties.isJoinControl
    }
  }
}
