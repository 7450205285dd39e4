import Synchronization

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
    let bad = sums.withUnsafeMutableBufferPointer { sums in
      squares.withUnsafeMutableBufferPointer { squares in
        Self.add(rows, to: Moments(sums: sums, squares: squares), pool: pool)
      }
    }
    notFiniteCount += bad
    gram?.add(rows, pool: pool)
  }

  /// Of which each thread has its own inputs.
  private struct Moments: @unchecked Sendable {
    let sums: UnsafeMutableBufferPointer<Double>
    let squares: UnsafeMutableBufferPointer<Double>
  }

  /// Inputs that a thread takes at a time.
  private static let pieceInputs = 256

  /// The same bits on any number of threads: each input's rows come in their order.
  ///
  /// - Returns: how many values are NaN or infinite.
  private static func add(_ rows: MatrixView, to moments: Moments, pool: WorkerPool) -> Int {
    let count = rows.columns
    let bad = Mutex(0)
    pool.forEach(count: (count + pieceInputs - 1) / pieceInputs) { piece, _ in
      let inputs = piece * pieceInputs..<min(count, (piece + 1) * pieceInputs)
      for row in 0..<rows.rows {
        let values = rows.base + row * rows.stride
        for input in inputs {
          let value = Double(values[input])
          moments.sums[input] += value
          moments.squares[input] += value * value
        }
      }
      // Squares of numbers fit an f64; only what is none makes such a sum.
      guard !inputs.allSatisfy({ moments.squares[$0].isFinite }) else { return }
      let found = (0..<rows.rows).reduce(0) { sum, row in
        sum + inputs.count { !rows.base[row * rows.stride + $0].isFinite }
      }
      bad.withLock { $0 += found }
    }
    return bad.withLock { $0 }
  }
}
