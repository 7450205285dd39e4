import VLMModels

#if canImport(Glibc)
  import Glibc
#endif

/// Scores from logits.
package enum ClassScores {
  /// One class with its score: a probability, unless outputs are shown as they are.
  package struct Candidate: Sendable, Equatable {
    package let index: Int
    package let score: Double
  }

  /// The `count` classes of the highest scores, best first; equal ones by index. NaN counts as
  /// least.
  ///
  /// In f64: `softmax(x)ᵢ = exp(xᵢ - max x) / Σⱼ exp(xⱼ - max x)`, `sigmoid(x)ᵢ = 1 / (1 + exp(-xᵢ))`.
  package static func top(
    _ count: Int, of logits: [Float], as scores: Scores
  ) -> [Candidate] {
    let values = logits.map { $0.isNaN ? -Double.infinity : Double($0) }
    guard let highest = values.max(), highest > -Double.infinity else { return [] }
    let best = values.indices
      .sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
      .prefix(count)
    let sum = scores == .softmax ? values.reduce(0) { $0 + exp($1 - highest) } : 0
    return best.map { index in
      let value = values[index]
      let score: Double =
        switch scores {
        case .softmax: exp(value - highest) / sum
        case .sigmoid: 1 / (1 + exp(-value))
        case .raw: value
        }
      return Candidate(index: index, score: score)
    }
  }
}
