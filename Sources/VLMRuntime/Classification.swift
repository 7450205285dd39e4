#if canImport(Glibc)
  import Glibc
#endif

/// Probabilities from logits.
package enum Classification {
  /// One class with its probability.
  package struct Candidate: Sendable, Equatable {
    package let index: Int
    package let probability: Double
  }

  /// Kullback-Leibler divergence `Σ pᵢ ln(pᵢ / qᵢ)` in nats of the softmax of `q` from that of `p`.
  package static func divergence(of q: [Float], from p: [Float]) -> Double {
    let (p, q) = (logProbabilities(p), logProbabilities(q))
    return zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
  }

  /// `xᵢ - max x - ln Σⱼ exp(xⱼ - max x)`, in f64.
  private static func logProbabilities(_ logits: [Float]) -> [Double] {
    let highest = Double(logits.max() ?? 0)
    let sum = logits.reduce(0) { $0 + exp(Double($1) - highest) }
    return logits.map { Double($0) - highest - log(sum) }
  }

  /// The `count` most probable classes, best first; equal ones by index. NaN counts as least.
  ///
  /// `softmax(x)ᵢ = exp(xᵢ - max x) / Σⱼ exp(xⱼ - max x)`, in f64.
  package static func top(_ count: Int, of logits: [Float]) -> [Candidate] {
    let values = logits.map { $0.isNaN ? -Double.infinity : Double($0) }
    guard let highest = values.max(), highest > -Double.infinity else { return [] }
    let exponentials = values.map { exp($0 - highest) }
    let sum = exponentials.reduce(0, +)
    return values.indices
      .sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
      .prefix(count)
      .map { Candidate(index: $0, probability: exponentials[$0] / sum) }
  }
}
