/// A set of tokens of a vocabulary, a bit for each.
package struct TokenMask: Sendable, Equatable {
  /// Tokens of the vocabulary.
  package let count: Int
  /// Token i is bit i mod 64 of word i / 64; bits behind the last token are 0.
  package private(set) var words: [UInt64]

  /// An empty set.
  package init(count: Int) {
    self.count = count
    words = [UInt64](repeating: 0, count: (count + 63) / 64)
  }

  /// Tokens beyond the vocabulary are never members.
  package func contains(_ token: Int) -> Bool {
    token >= 0 && token < count && words[token >> 6] >> UInt64(token & 63) & 1 != 0
  }

  package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  /// How many tokens are members.
  package var memberCount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// - Precondition: `token` is one of the vocabulary.
  package mutating func insert(_ token: Int) {
    precondition(token >= 0 && token < count, "a token of the vocabulary")
    words[token >> 6] |= 1 << UInt64(token & 63)
  }

  package mutating func remove(_ token: Int) {
    guard contains(token) else { return }
    words[token >> 6] &= ~(1 << UInt64(token & 63))
  }

  package mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
  }

  /// - Precondition: both are of the same vocabulary.
  package mutating func formUnion(_ other: TokenMask) {
    precondition(count == other.count, "sets of one vocabulary")
    for index in words.indices { words[index] |= other.words[index] }
  }
}
