import VLMText
import VLMZ

/// The logits that one token is predicted by.
struct TokenRow {
  private let values: UnsafeBufferPointer<Float>
  /// `TokenProbabilities.logSum` of them.
  private let sum: Double
  /// The most probable token.
  private let best: Int

  init(_ values: UnsafeBufferPointer<Float>) {
    self.init(
      values, sum: TokenProbabilities.logSum(values), best: Sampler.largest(values) ?? 0)
  }

  /// The same with what is known of them.
  init(_ values: UnsafeBufferPointer<Float>, sum: Double, best: Int) {
    (self.values, self.sum, self.best) = (values, sum, best)
  }

  /// How well the token is predicted.
  func token(_ id: Int) -> Measurement.Token {
    Measurement.Token(loss: sum - Double(values[id]), isBest: best == id)
  }

  /// How far the prediction is from the reference's.
  func comparison(with reference: TokenRow, _ id: Int) -> Measurement.TokenComparison {
    Measurement.TokenComparison(
      loss: reference.sum - Double(reference.values[id]), isBest: reference.best == id,
      divergence: TokenProbabilities.divergence(
        of: values, sum, from: reference.values, reference.sum),
      sameBest: best == reference.best)
  }
}
