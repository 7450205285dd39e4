/// What is known of the rows x that a matrix W `[outputs, inputs]` will be multiplied by, gathered
/// over a calibration set. An encoder that takes it minimises an error of the products, not of the
/// weights.
///
/// A scheme says by `usesImportance` and `usesHessian` what its encoder makes use of; it takes no
/// notice of the rest.
package struct CalibrationStatistics: Sendable {
  /// Columns of the matrix, in the order in which it is stored.
  package let inputs: Int
  /// `[inputs]` weights of the squared error of an input's weights, as the mean of x². They are
  /// divided by the largest; zero, negative and NaN count as next to nothing.
  package let importance: [Float]?
  /// The Hessian of the squared error of the products, as encoders take it.
  package let factor: HessianFactor?

  /// - Parameters:
  ///   - hessian: `[inputs, inputs]`, row-major: a multiple of Σ x xᵀ, to whose diagonal the caller
  ///     has added what keeps it positive (Frantar et al., 2022, "GPTQ").
  ///   - pool: threads for factoring it; nil for the calling one.
  /// - Throws: where a count is not that of `inputs`, or the Hessian is not finite, not symmetric to
  ///   the last bit or not positive definite.
  package init(
    inputs: Int, importance: [Float]? = nil, hessian: [Float]? = nil, kernels: KernelSet = .best,
    pool: WorkerPool? = nil
  ) throws(TensorEncodingError) {
    guard (1...TensorFormat.maximumInputs).contains(inputs) else {
      throw TensorEncodingError(
        problem: .statisticsInputs(found: inputs, expected: "1 to \(TensorFormat.maximumInputs)"))
    }
    if let importance, importance.count != inputs {
      throw TensorEncodingError(
        problem: .importanceCount(found: importance.count, expected: inputs))
    }
    if let hessian { try Self.check(hessian, inputs: inputs) }
    self.inputs = inputs
    self.importance = importance
    if let hessian {
      factor = try HessianFactor(hessian, inputs: inputs, kernels: kernels, pool: pool)
    } else {
      factor = nil
    }
  }

  private static func check(_ hessian: [Float], inputs: Int) throws(TensorEncodingError) {
    guard hessian.count == inputs * inputs else {
      throw TensorEncodingError(
        problem: .hessianCount(found: hessian.count, expected: inputs * inputs))
    }
    // In tiles: columns of a large matrix are in no cache.
    let tile = 64
    for top in stride(from: 0, to: inputs, by: tile) {
      for left in stride(from: 0, through: top, by: tile) {
        for row in top..<min(top + tile, inputs) {
          for column in left..<min(left + tile, row + 1) {
            try check(hessian, inputs: inputs, row: row, column: column)
          }
        }
      }
    }
  }

  private static func check(
    _ hessian: [Float], inputs: Int, row: Int, column: Int
  ) throws(TensorEncodingError) {
    let (value, mirrored) = (hessian[row * inputs + column], hessian[column * inputs + row])
    let problem: TensorEncodingError.HessianFault? =
      if !value.isFinite || !mirrored.isFinite {
        .notFinite
      } else if value != mirrored {
        .notSymmetric
      } else if row == column, value <= 0 {
        .diagonalNotPositive
      } else {
        nil
      }
    if let problem {
      throw TensorEncodingError(problem: .hessian(problem, row: row, column: column))
    }
  }
}
