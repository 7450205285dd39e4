/// Parts of a file in the order in which they are used: which of them are in memory, which are read
/// next, and which are let go for them.
///
/// A value that reads nothing. The order is learned: behind a part comes the one that came behind it
/// last time. What is let go is what is used latest (Bélády, 1966). For a model that is larger than
/// memory and used from end to end, over and over, that is the part that was used last: the others stay,
/// and each pass reads only what has no room. Letting go of what was used longest ago, as the
/// system does, would read all of it.
package struct ReadingOrder: Sendable {
  /// What one use of a part means for the others.
  package struct Step: Sendable, Equatable {
    /// Parts that are no longer held.
    package var letGo: [Int]
    /// Parts that are held and needed soon, the most urgent first; the first is the one in use.
    package var wanted: [Int]

    package init(letGo: [Int] = [], wanted: [Int] = []) {
      self.letGo = letGo
      self.wanted = wanted
    }
  }

  /// Bytes of each part.
  package let byteCounts: [Int]
  /// Bytes that the parts may have in memory together. The part in use is held even where it has more.
  package var limit: Int
  /// Bytes of the parts that are held.
  package private(set) var heldBytes = 0
  /// The part in use.
  package private(set) var current: Int?
  /// Bytes behind the part in use that are wanted early.
  private let ahead: Int
  private var following: [Int]
  private var isHeld: [Bool]

  /// - Parameters:
  ///   - byteCounts: of the parts, in the order in which they are probably used; then they begin again.
  ///   - ahead: bytes that are wanted before they are used; at least one part is.
  package init(byteCounts: [Int], limit: Int, ahead: Int) {
    self.byteCounts = byteCounts
    self.limit = limit
    self.ahead = ahead
    following = byteCounts.indices.map { ($0 + 1) % byteCounts.count }
    isHeld = byteCounts.map { _ in false }
  }

  /// Whether a part is in memory, or is to be.
  package func holds(_ part: Int) -> Bool { isHeld[part] }

  /// Says that a part is used now.
  package mutating func use(_ part: Int) -> Step {
    if let current, current != part { following[current] = part }
    current = part
    let order = order(from: part)
    // Parts that are in no order any more come last of all.
    var turn = [Int](repeating: byteCounts.count, count: byteCounts.count)
    for (place, part) in order.enumerated() { turn[part] = place }

    var step = Step()
    // The limit may have fallen.
    while heldBytes > limit, letGoOfLatest(turn, behind: 0, &step) {}
    var covered = 0
    for (place, next) in order.enumerated() {
      if place > 1, covered >= ahead { break }
      if place > 0 { covered += byteCounts[next] }
      if !isHeld[next] {
        guard makeRoom(byteCounts[next], turn, behind: place, &step) || place == 0 else { break }
        isHeld[next] = true
        heldBytes += byteCounts[next]
      }
      step.wanted.append(next)
    }
    return step
  }

  /// The parts that follow, as far as they differ.
  private func order(from part: Int) -> [Int] {
    var order = [part]
    var isIn = [Bool](repeating: false, count: byteCounts.count)
    isIn[part] = true
    var next = following[part]
    while !isIn[next] {
      isIn[next] = true
      order.append(next)
      next = following[next]
    }
    return order
  }

  /// Lets go of parts that are used later than the one whose turn is `place`.
  ///
  /// - Returns: false where that does not make room for `bytes`.
  private mutating func makeRoom(
    _ bytes: Int, _ turn: [Int], behind place: Int, _ step: inout Step
  ) -> Bool {
    while heldBytes + bytes > limit {
      guard letGoOfLatest(turn, behind: place, &step) else { return false }
    }
    return true
  }

  private mutating func letGoOfLatest(
    _ turn: [Int], behind place: Int, _ step: inout Step
  ) -> Bool {
    let held = byteCounts.indices.filter { isHeld[$0] && turn[$0] > place }
    guard let latest = held.max(by: { turn[$0] < turn[$1] }) else { return false }
    isHeld[latest] = false
    heldBytes -= byteCounts[latest]
    step.letGo.append(latest)
    return true
  }
}
