/// How long a pass over the weights takes by the number of its rows, as far as it matters here: in
/// proportion.
///
/// It begins with what is usual, and learns from the passes that are run.
package struct PassCosts: Sendable, Equatable {
  /// Rows of a pass that are told apart; passes of more are not for speculation.
  package static let maximumRows = 8

  /// An estimate to begin with, which each model's own passes replace. With AVX2 a pass of SmolLM2's shape
  /// at q4 took 1, 1.01, 1.17, 1.48, 1.88, 2.13, 2.30 and 2.49 (`vlm-bench speculation/smollm2/q4/…`).
  package static let usual = [1.0, 1.25, 1.5, 1.7, 2.0, 2.2, 2.4, 2.6]

  private let shape: [Double]
  /// Seconds of a pass by its rows; nil for those that were not run.
  private var known: [Double?]
  private let learns: Bool

  /// - Parameters:
  ///   - shape: what passes of 1 to `maximumRows` rows cost, in any unit; ascending and above 0.
  ///   - learns: false to keep to `shape`, whatever is noted.
  package init(_ shape: [Double] = PassCosts.usual, learns: Bool = true) {
    precondition(shape.count == Self.maximumRows && shape.allSatisfy { $0 > 0 }, "a cost for each")
    self.shape = shape
    self.learns = learns
    known = [Double?](repeating: nil, count: shape.count)
  }

  /// What a pass of so many rows costs; only proportions mean something.
  package subscript(rows: Int) -> Double {
    // A pass with a row less is not slower: what was measured so was held up.
    (1...rows).reduce(0) { max($0, estimate($1)) }
  }

  /// Notes how long a pass took. One sample counts for a fourth, and moves what is known by a factor of 2
  /// at most: a pass may have been held up by other programs.
  package mutating func note(rows: Int, seconds: Double) {
    guard learns, rows >= 1, rows <= shape.count, seconds > 0, seconds.isFinite else { return }
    let isFirst = known.allSatisfy { $0 == nil }
    let old = isFirst ? seconds : estimate(rows)
    let sample = min(max(seconds, old / 2), old * 2)
    let new = known[rows - 1] == nil ? sample : old + (sample - old) / 4
    known[rows - 1] = new
    // What was measured long ago gives way to what is usual, so that a bad sample is not for ever.
    for other in known.indices where other != rows - 1 {
      guard let value = known[other] else { continue }
      let expected = new * shape[other] / shape[rows - 1]
      known[other] = value + (expected - value) / 100
    }
  }

  /// Between two that were measured as the shape goes; beyond them in proportion to it.
  private func estimate(_ rows: Int) -> Double {
    let place = rows - 1
    if let value = known[place] { return value }
    let below = known[..<place].lastIndex { $0 != nil }
    let above = known[place...].firstIndex { $0 != nil }
    switch (below, known[below ?? place], above, known[above ?? place]) {
    case (let low?, let a?, let high?, let b?) where shape[high] > shape[low]:
      return a + (b - a) * (shape[place] - shape[low]) / (shape[high] - shape[low])
    case (let low?, let a?, _, _): return a * shape[place] / shape[low]
    case (_, _, let high?, let b?): return b * shape[place] / shape[high]
    default: return shape[place]
    }
  }
}
