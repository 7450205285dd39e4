/// Finds where the last tokens of a sequence stood before: by tables of its n-grams, which grow with it.
///
/// An entry is overwritten by the next n-gram with the same hash, and every find is compared with the
/// tokens themselves. So memory is bounded and nothing wrong is found; at worst something is missed.
struct RepetitionIndex {
  /// A place that the sequence was at before.
  struct Match: Equatable {
    /// Where what followed there begins.
    let source: Int
    /// How many tokens before it are the last ones of the sequence, `longest` at most.
    let length: Int
  }

  /// Tokens of an n-gram, of one table each. Long ones find the right one of many places; two tokens are
  /// the least that say anything.
  private static let orders = [6, 3, 2]
  /// Tokens of a match that are counted.
  static let longest = 32
  private static let entryBits = 8...16

  private(set) var tokens: [Int32] = []
  /// By order and hash, the position behind an n-gram; 0 for none.
  private var tables: [[Int32]]
  private let shift: Int

  /// - Parameter count: tokens that the sequence may come to; more are taken, and found less often.
  init(expecting count: Int) {
    let bits = Int.bitWidth - max(1, count).leadingZeroBitCount + 1
    let kept = min(max(bits, Self.entryBits.lowerBound), Self.entryBits.upperBound)
    shift = UInt64.bitWidth - kept
    tables = Self.orders.map { _ in [Int32](repeating: 0, count: 1 << kept) }
    tokens.reserveCapacity(count)
  }

  /// Adds the next token; a negative one stands for something that is no token and is never found.
  mutating func append(_ token: Int) {
    // What the sequence ended with until now has got something that follows it.
    let end = tokens.count
    for (table, order) in Self.orders.enumerated() {
      guard let place = place(of: order) else { continue }
      tables[table][place] = Int32(clamping: end)
    }
    tokens.append(Int32(clamping: token))
  }

  /// The place that agrees with the longest end of the sequence; of several the last one.
  ///
  /// - Parameter expected: a place to look at beside those of the tables; nil for none.
  func match(expected: Int?) -> Match? {
    var best: Match?
    func consider(_ source: Int, least: Int) {
      guard source > 0, source < tokens.count, tokens[source] >= 0 else { return }
      let length = commonLength(before: source)
      guard length >= least, length > best?.length ?? 0 else { return }
      best = Match(source: source, length: length)
    }
    for (table, order) in Self.orders.enumerated() {
      guard let place = place(of: order) else { continue }
      consider(Int(tables[table][place]), least: order)
      // A shorter n-gram finds a later place, but not one that agrees with more.
      if best != nil { break }
    }
    if let expected { consider(expected, least: Self.orders.last ?? 1) }
    return best
  }

  /// What follows a match: so many tokens, fewer where something that is no token comes. A match that
  /// reaches the end of the sequence goes round: what it repeats is repeated.
  func continuation(of match: Match, atMost count: Int) -> [Int] {
    let period = tokens.count - match.source
    var found: [Int] = []
    while found.count < count {
      let token = tokens[match.source + found.count % period]
      guard token >= 0 else { break }
      found.append(Int(token))
    }
    return found
  }

  /// Where the table of an order has the sequence's last tokens; nil where they are too few.
  private func place(of order: Int) -> Int? {
    guard tokens.count >= order else { return nil }
    var hash: UInt64 = 0
    for token in tokens[(tokens.count - order)...] {
      guard token >= 0 else { return nil }
      // Fibonacci hashing; the upper bits are the mixed ones.
      hash = (hash ^ (hash >> 32) ^ UInt64(token)) &* 0x9E37_79B9_7F4A_7C15
    }
    return Int(hash >> UInt64(shift))
  }

  private func commonLength(before source: Int) -> Int {
    var length = 0
    let most = min(source, Self.longest)
    while length < most {
      let token = tokens[source - 1 - length]
      guard token >= 0, token == tokens[tokens.count - 1 - length] else { break }
      length += 1
    }
    return length
  }
}
