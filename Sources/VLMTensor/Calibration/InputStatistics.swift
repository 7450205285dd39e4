/// What is known of the rows that some matrices are multiplied by, gathered as they come.
package final class InputStatistics: @unchecked Sendable {
  /// Which sums are kept.
  package enum Detail: Int, Sendable, Comparable {
    /// Nothing: the matrix is not asked about.
    case none
    /// Σ x and Σ x² of each input.
    case moments
    /// Those, and Σ x xᵀ.
    case hessian

    package static func < (a: Detail, b: Detail) -> Bool { a.rawValue < b.rawValue }
  }

  package let inputs: Int
  package private(set) var rowCount = 0
  /// Σ x of each input.
  package private(set) var sums: [Double]
  /// Σ x² of each input.
  package private(set) var squares: [Double]
  /// Σ x xᵀ, where it is kept.
  package let gram: GramMatrix?
  /// Values that were NaN or infinite; they are in the sums.
  package private(set) var notFiniteCount = 0

  package init(inputs: Int, detail: Detail, kernels: KernelSet) {
    self.inputs = inputs
    sums = [Double](repeating: 0, count: inputs)
    squares = sums
    gram = detail == .hessian ? GramMatrix(inputs: inputs, kernels: kernels) : nil
  }

  /// - Parameter rows: `[any, inputs]`.
  package func add(_ rows: MatrixView, pool: WorkerPool) {
    precondition(rows.columns == inputs, "rows of these inputs")
    rowCount += rows.rows
    var bad = 0
    sums.withUnsafeMutableBufferPointer { sums in
      squares.withUnsafeMutableBufferPointer { squares in
        for row in 0..<rows.rows {
          rows.withRow(row) { values in
            for input in 0..<inputs {
              let value = Double(values[input])
              sums[input] += value
              squares[input] += value * value
              if !value.isFinite { bad += 1 }
            }
          }
        }
      }
    }
    notFiniteCount += bad
    gram?.add(rows, pool: pool)
  }
}
