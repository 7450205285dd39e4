/// Which tokens an answer may go on with, such as those of a grammar.
///
/// A value that grows with its answer: each answer has a copy of its own. The engine calls `mask` once
/// before each token, on its own thread, between two passes over the weights: what takes long there
/// holds up every answer.
public protocol TokenConstraint: Sendable {
  /// Allows the tokens that may come next.
  ///
  /// - Parameter allowed: as wide as the model's output, with no token allowed. Tokens that end a text
  ///   need not be considered: `mayEnd` says of all of them.
  mutating func mask(into allowed: inout TokenMask)

  /// Takes the token that was chosen, one of those that `mask` allowed.
  mutating func accept(_ token: Int)

  /// Whether the text may end here. An answer that may neither go on nor end ends all the same.
  var mayEnd: Bool { get }
}

/// A set of tokens, one bit each.
public struct TokenMask: Sendable, Equatable {
  /// Tokens that it is about: 0 ..< count.
  public let count: Int
  /// Bit `token % 64` of word `token / 64` is set where a token is allowed. Bits from `count` on mean
  /// nothing.
  public var words: [UInt64]

  /// A mask that allows no token.
  public init(count: Int) {
    self.count = max(0, count)
    words = [UInt64](repeating: 0, count: (self.count + 63) / 64)
  }

  /// Whether a token is allowed; false for one out of range, which cannot be allowed.
  public subscript(token: Int) -> Bool {
    get { token >= 0 && token < count && words[token / 64] >> UInt64(token % 64) & 1 == 1 }
    set {
      guard token >= 0, token < count else { return }
      let bit = UInt64(1) << UInt64(token % 64)
      if newValue { words[token / 64] |= bit } else { words[token / 64] &= ~bit }
    }
  }

  /// Allows no token.
  public mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
  }

  /// Whether no token is allowed.
  public var isEmpty: Bool {
    guard let last = words.last else { return true }
    let used = count % 64 == 0 ? ~0 : (UInt64(1) << UInt64(count % 64)) - 1
    return last & used == 0 && words.dropLast().allSatisfy { $0 == 0 }
  }
}
