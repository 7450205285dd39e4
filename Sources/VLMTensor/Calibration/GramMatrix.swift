import CVLMKernels
import CVLMSystem

/// Σ x xᵀ of rows x: the Hessian, up to a factor, of the squared error of products with them.
///
/// Rows are collected in blocks, and a block is added as one product of matrices. Sums are f32: a
/// few hundred blocks lose less than a part in 10⁵, far below what any damping adds. The same rows in
/// the same order give the same bits on any number of threads.
package final class GramMatrix: @unchecked Sendable {
  package let inputs: Int
  private let kernels: KernelSet
  /// `[inputs, inputs]`; of each row what lies left of its block of outputs is not computed.
  private let sums: Activations
  /// `[inputs, blockRows]`: the collected rows, transposed.
  private let block: Activations
  private var collected = 0

  /// Rows of a block: enough that a product of matrices, not their addition, takes the time.
  private static let blockRows = 256
  /// Rows of the sums that a thread makes at a time.
  private static let pieceRows = 128
  /// Inputs that a thread transposes at a time.
  private static let pieceInputs = 128
  /// Values of a row that are transposed together: a line of the cache.
  private static let together = 16

  package init(inputs: Int, kernels: KernelSet) {
    self.inputs = inputs
    self.kernels = kernels
    sums = Activations(count: inputs * inputs)
    block = Activations(count: inputs * Self.blockRows)
  }

  /// Bytes of one.
  package static func byteCount(inputs: Int) -> Int { 4 * inputs * (inputs + blockRows) }

  /// - Parameter rows: `[any, inputs]`.
  package func add(_ rows: MatrixView, pool: WorkerPool) {
    precondition(rows.columns == inputs, "rows of the matrix's inputs")
    var first = 0
    while first < rows.rows {
      let count = min(rows.rows - first, Self.blockRows - collected)
      collect(rows[first..<first + count], pool)
      first += count
      if collected == Self.blockRows { addBlock(pool) }
    }
  }

  /// Takes some rows that the block has room for.
  private func collect(_ rows: MatrixView, _ pool: WorkerPool) {
    let target = block.matrix(rows: inputs, columns: Self.blockRows)
    let place = collected
    pool.forEach(count: (inputs + Self.pieceInputs - 1) / Self.pieceInputs) { piece, _ in
      let own = piece * Self.pieceInputs..<min(inputs, (piece + 1) * Self.pieceInputs)
      for start in stride(from: 0, to: rows.rows, by: Self.together) {
        let count = min(Self.together, rows.rows - start)
        for input in own {
          let from = rows.base + start * rows.stride + input
          let line = target.base + input * target.stride + place + start
          for row in 0..<count { line[row] = from[row * rows.stride] }
        }
      }
    }
    collected += rows.rows
  }

  private func addBlock(_ pool: WorkerPool) {
    guard collected > 0 else { return }
    let rows = block.matrix(rows: inputs, columns: Self.blockRows)
    if collected < Self.blockRows {
      for input in 0..<inputs {
        for place in collected..<Self.blockRows { rows[input, place] = 0 }
      }
    }
    collected = 0
    let target = sums.matrix(rows: inputs, columns: inputs)
    let usesLibrary = OpenBLAS.isThere
    pool.forEach(count: (inputs + Self.pieceRows - 1) / Self.pieceRows) { piece, _ in
      let first = piece * Self.pieceRows
      let count = min(Self.pieceRows, inputs - first)
      let (x, y) = (rows.base + first * rows.stride, target.base + first * target.stride + first)
      if usesLibrary {
        vlm_sgemm(
          count, inputs - first, Self.blockRows, x, rows.stride, x, 1, y, target.stride)
      } else {
        kernels.table.pointee.multiply_f32(
          count, Self.blockRows, inputs - first, x, rows.stride, x, true, y, target.stride)
      }
    }
  }

  /// The upper triangle, row by row: `inputs * (inputs + 1) / 2` values, of all rows so far.
  package func withUpperTriangle(
    pool: WorkerPool, _ body: (UnsafeBufferPointer<Float>) throws -> Void
  ) rethrows {
    addBlock(pool)
    try sums.withValues(inputs * inputs) { values in
      for row in 0..<inputs {
        let start = row * inputs
        try body(UnsafeBufferPointer(rebasing: values[start + row..<start + inputs]))
      }
    }
  }
}
