/// How well the scores of decisions tell how often they are right.
public struct Reliability: Sendable, Equatable {
  /// Decisions whose score lies in one part of 0 to 1.
  public struct Bin: Sendable, Equatable {
    /// Decisions.
    public let count: Int
    /// Mean of their scores; 0 without any.
    public let confidence: Double
    /// Share of them that are right; 0 without any.
    public let accuracy: Double
  }

  /// Parts of equal width, from 0 to 1.
  public let bins: [Bin]
  /// Share of decisions that are right.
  public let accuracy: Double

  /// The expected calibration error, Σ nᵢ / n |accuracyᵢ - confidenceᵢ| over the bins (Guo et al., "On
  /// calibration of modern neural networks", 2017).
  public var calibrationError: Double {
    let total = bins.reduce(0) { $0 + $1.count }
    guard total > 0 else { return 0 }
    return bins.reduce(0) { sum, bin in
      sum + Double(bin.count) / Double(total) * abs(bin.accuracy - bin.confidence)
    }
  }

  /// As many as the paper has.
  static let binCount = 15

  /// - Parameter decisions: the score of each, 0 to 1, and whether it is right.
  init(_ decisions: [(confidence: Double, isRight: Bool)]) {
    var counts = [Int](repeating: 0, count: Self.binCount)
    var confidences = [Double](repeating: 0, count: Self.binCount)
    var right = [Int](repeating: 0, count: Self.binCount)
    for decision in decisions {
      // A score on the border belongs to the bin below, as in the paper.
      let place = (decision.confidence * Double(Self.binCount)).rounded(.up) - 1
      let bin = max(0, min(Self.binCount - 1, place.isFinite ? Int(place) : 0))
      counts[bin] += 1
      confidences[bin] += decision.confidence
      right[bin] += decision.isRight ? 1 : 0
    }
    bins = counts.indices.map { bin in
      let count = Double(max(1, counts[bin]))
      return Bin(
        count: counts[bin], confidence: confidences[bin] / count,
        accuracy: Double(right[bin]) / count)
    }
    accuracy = Double(right.reduce(0, +)) / Double(max(1, decisions.count))
  }
}
