import VLMModels

#if canImport(Glibc)
  import Glibc
#endif

/// How far one model's answers are from another's.
extension ClassScores {
  /// Kullback-Leibler divergence in nats of the probabilities of `q` from those of `p`: for a
  /// softmax `Σ pᵢ ln(pᵢ / qᵢ)`; for sigmoids the sum of that over each class's being so or not; nil
  /// where outputs are no probabilities.
  package static func divergence(of q: [Float], from p: [Float], as scores: Scores) -> Double? {
    switch scores {
    case .softmax:
      let (p, q) = (logProbabilities(p), logProbabilities(q))
      return zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
    case .sigmoid:
      return zip(p, q).reduce(0) { sum, pair in
        let (p, q) = (Double(pair.0), Double(pair.1))
        let so = exp(logSigmoid(p)) * (logSigmoid(p) - logSigmoid(q))
        return sum + so + exp(logSigmoid(-p)) * (logSigmoid(-p) - logSigmoid(-q))
      }
    case .raw: return nil
    }
  }

  /// Whether two answers decide alike: the same class is first of a softmax, the same classes are
  /// above one half of sigmoids; nil for numbers, which decide nothing.
  package static func agree(_ p: [Float], _ q: [Float], as scores: Scores) -> Bool? {
    switch scores {
    case .softmax: top(1, of: p, as: scores).first?.index == top(1, of: q, as: scores).first?.index
    case .sigmoid: p.map { $0 > 0 } == q.map { $0 > 0 }
    case .raw: nil
    }
  }

  /// `xᵢ - max x - ln Σⱼ exp(xⱼ - max x)`, in f64.
  private static func logProbabilities(_ logits: [Float]) -> [Double] {
    let highest = Double(logits.max() ?? 0)
    let sum = logits.reduce(0) { $0 + exp(Double($1) - highest) }
    return logits.map { Double($0) - highest - log(sum) }
  }

  /// `-ln(1 + exp(-x))`, without overflow.
  private static func logSigmoid(_ x: Double) -> Double { min(x, 0) - log1p(exp(-abs(x))) }
}
