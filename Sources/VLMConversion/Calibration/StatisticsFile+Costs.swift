import VLMTensor

/// What a file of statistics says for the choice of schemes.
extension StatisticsFile {
  /// The group that a matrix is in; nil where nothing is known of it.
  package func group(of tensor: String) -> StatisticsGroup? { places[tensor].map { groups[$0] } }

  /// What the model loses by a relative squared error of 1 in the products of a matrix, as far as it
  /// grows with the error; nil where that was not found out.
  package func sensitivity(of tensor: String) -> Double? {
    guard let group = group(of: tensor), let place = group.tensors.firstIndex(of: tensor),
      let array = catalog[StatisticsArray(kind: .sensitivity, group: group).name]
    else { return nil }
    let value = Self.doubles(array)[place]
    return value > 0 ? value : nil
  }

  /// Whether two inputs of a matrix have half of Σ x². Of a down projection these are massive
  /// activations (Sun et al., 2024), which few positions have, and other texts at other positions.
  package func isDominated(_ tensor: String) -> Bool {
    guard let group = group(of: tensor), group.inputs > Self.fewestInputs else { return false }
    let squares = storedMoments(of: group).squares
    let largest = squares.sorted(by: >).prefix(2).reduce(0, +)
    return 2 * largest >= squares.reduce(0, +)
  }

  /// Of fewer inputs two may well have half.
  private static let fewestInputs = 64

  /// Whether the model was run to find out what errors cost.
  package var hasSensitivities: Bool {
    groups.contains { $0.tensors.contains { sensitivity(of: $0) != nil } }
  }

  /// What measures the errors of a group's matrices: the Hessian shrunk but not damped, since damping is
  /// for the encoder; of a group without one the mean squares.
  ///
  /// - Throws: `StatisticsError` for a Hessian that contradicts the mean squares.
  package func metric(of group: StatisticsGroup) throws -> ProductMetric {
    let (rows, _, squares) = moments(of: group)
    guard group.hasHessian, usesHessians else {
      return .importance(squares.map { Float($0 / rows) })
    }
    return .hessian(try hessian(of: group, rows: rows, squares: squares, isDamped: false))
  }

  /// The same statistics without Hessians, for a conversion that takes less time.
  package var withoutHessians: StatisticsFile {
    var file = self
    file.usesHessians = false
    file.fingerprint += "-moments"
    return file
  }
}
