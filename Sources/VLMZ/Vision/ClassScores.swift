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
    let chances = probabilities(values, as: scores)
    return best.map { Candidate(index: $0, score: chances[$0]) }
  }

  /// A score for each logit; see `top`.
  package static func probabilities(_ logits: [Double], as scores: Scores) -> [Double] {
    switch scores {
    case .softmax:
      let highest = logits.max() ?? 0
      let exponentials = logits.map { exp($0 - highest) }
      let sum = exponentials.reduce(0, +)
      return exponentials.map { $0 / sum }
    case .sigmoid: return logits.map { 1 / (1 + exp(-$0)) }
    case .raw: return logits
    }
  }
}
