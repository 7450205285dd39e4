import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// Probabilities of tokens as a model's logits give them, and how far those of two models are apart.
/// In f64.
package enum TokenProbabilities {
  /// ln Σ exp(x).
  package static func logSum(_ logits: UnsafeBufferPointer<Float>) -> Double {
    let highest = Double(Sampler.largest(logits).map { logits[$0] } ?? 0)
    var sum = 0.0
    for value in logits { sum += exp(Double(value) - highest) }
    return log(sum) + highest
  }

  /// Kullback-Leibler divergence in nats, Σ p ln(p / q).
  ///
  /// - Parameters:
  ///   - q: logits of one model.
  ///   - qSum: their `logSum`.
  ///   - p: those of the model that it is to be like, as many.
  ///   - pSum: their `logSum`.
  package static func divergence(
    of q: UnsafeBufferPointer<Float>, _ qSum: Double, from p: UnsafeBufferPointer<Float>,
    _ pSum: Double
  ) -> Double {
    precondition(p.count == q.count, "one vocabulary")
    var sum = 0.0
    for index in p.indices {
      let log = Double(p[index]) - pSum
      sum += exp(log) * (log - (Double(q[index]) - qSum))
    }
    return sum
  }
}
