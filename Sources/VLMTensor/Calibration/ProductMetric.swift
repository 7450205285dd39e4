import CVLMKernels

/// How much a row e of a matrix, or of its errors, does to the products with the rows x that are
/// expected: the mean of (e · x)², up to a factor.
package enum ProductMetric: Sendable {
  /// Nothing is known of x: Σ e².
  case weights
  /// Of each input the mean of x², `[inputs]`: Σ m e².
  case importance([Float])
  /// The mean H of x xᵀ, `[inputs, inputs]` and symmetric: e H eᵀ.
  case hessian([Float])

  /// The sum over `rows`, `[rows, inputs]`.
  package func sum(of rows: MatrixView, kernels: KernelSet) -> Double {
    var sum = 0.0
    switch self {
    case .weights:
      for row in 0..<rows.rows {
        rows.withRow(row) { values in
          for value in values { sum += Double(value) * Double(value) }
        }
      }
    case .importance(let weights):
      precondition(weights.count == rows.columns, "a weight for each input")
      for row in 0..<rows.rows {
        rows.withRow(row) { values in
          for (input, value) in values.enumerated() {
            sum += Double(value) * Double(value) * Double(weights[input])
          }
        }
      }
    case .hessian(let matrix):
      precondition(matrix.count == rows.columns * rows.columns, "a matrix of the inputs")
      let memory = Activations(count: rows.rows * rows.columns)
      let products = memory.matrix(rows: rows.rows, columns: rows.columns)
      matrix.withUnsafeBufferPointer { matrix in
        guard let base = matrix.baseAddress else { return }
        kernels.table.pointee.multiply_f32(
          rows.rows, rows.columns, rows.columns, rows.base, rows.stride, base, false,
          products.base, products.stride)
      }
      for row in 0..<rows.rows {
        rows.withRow(row) { values in
          products.withRow(row) { product in
            for (value, product) in zip(values, product) { sum += Double(value) * Double(product) }
          }
        }
      }
    }
    // Of next to nothing rounding may leave less.
    return max(0, sum)
  }
}
