/// How often what followed a match has followed again, in one answer, by the length of the match.
///
/// Every token tells: also where nothing was proposed it is known what would have been. So a text that
/// does not repeat itself is recognised without having cost anything.
struct RepetitionOdds {
  /// Lengths of matches, from each of these on, that are counted together.
  private static let classes = [2, 3, 4, 6, 9, 16]
  /// What is expected before anything is known: measured on answers of small models, and rather less.
  private static let priors = [0.15, 0.3, 0.4, 0.55, 0.7, 0.85]
  /// How many tokens that expectation counts for.
  private static let priorWeight = 4.0
  /// How much of what is known stays with each token: the last 32 or so count.
  private static let memory = 1 - 1.0 / 32

  private var hits: [Double] = Self.priors.map { $0 * Self.priorWeight }
  private var trials = [Double](repeating: Self.priorWeight, count: Self.classes.count)

  /// The probability that a match of `length` tokens goes on.
  subscript(length: Int) -> Double {
    let place = Self.place(of: length)
    return hits[place] / trials[place]
  }

  /// Notes whether one of that length went on.
  mutating func note(_ length: Int, hit: Bool) {
    let place = Self.place(of: length)
    hits[place] = hits[place] * Self.memory + (hit ? 1 : 0)
    trials[place] = trials[place] * Self.memory + 1
  }

  private static func place(of length: Int) -> Int {
    (classes.lastIndex { $0 <= length }) ?? 0
  }
}
