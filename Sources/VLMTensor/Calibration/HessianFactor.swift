import CVLMKernels
import CVLMSystem

/// H = L D Lᵀ of a Hessian, L unit upper triangular: how far the error of one input is made up for by
/// those that are quantized after it (Chee et al., 2023, "QuIP").
///
/// Inputs are quantized in descending order of their share of the products, as GPTQ's `act_order`
/// does, but those of a block stay together, because they share a step and an offset.
package struct HessianFactor: Sendable {
  package let inputs: Int
  /// `[inputs]`: which input is quantized when.
  let order: [UInt32]
  /// `[inputs, inputs]`, in `order`: L above the diagonal; what lies elsewhere means nothing.
  let factor: [Float]
  /// `[inputs]`, in `order`: D, all positive.
  let pivots: [Float]
  /// D in the inputs' own order: the weight of an input's error once all later inputs have made up
  /// for what they can.
  let weights: [Float]

  /// - Parameters:
  ///   - hessian: `[inputs, inputs]`, row-major, checked by `CalibrationStatistics`.
  ///   - pool: threads for the greater part of the work; nil for the calling one.
  /// - Throws: `.notPositiveDefinite` with the input at which that shows.
  init(
    _ hessian: [Float], inputs: Int, kernels: KernelSet, pool: WorkerPool?
  ) throws(TensorEncodingError) {
    let order = Self.order(hessian, inputs: inputs)
    var matrix = [Float](repeating: 0, count: inputs * inputs)
    for row in 0..<inputs {
      let source = Int(order[row]) * inputs
      for column in row..<inputs {
        matrix[row * inputs + column] = hessian[source + Int(order[column])]
      }
    }
    var pivots = [Float](repeating: 0, count: inputs)
    let fault = matrix.withUnsafeMutableBufferPointer { matrix in
      pivots.withUnsafeMutableBufferPointer { pivots in
        TriangularFactor(matrix: matrix, pivots: pivots, kernels: kernels, pool: pool).run()
      }
    }
    if let fault {
      let input = Int(order[fault])
      throw TensorEncodingError(problem: .hessian(.notPositiveDefinite, row: input, column: input))
    }
    var weights = pivots
    for (place, input) in order.enumerated() { weights[Int(input)] = pivots[place] }
    self.inputs = inputs
    self.order = order
    factor = matrix
    self.pivots = pivots
    self.weights = weights
  }

  /// The arrays as the C library takes them.
  func withPointers<R>(
    _ body: (
      _ factor: UnsafePointer<Float>?, _ pivots: UnsafePointer<Float>?,
      _ order: UnsafePointer<UInt32>?, _ weights: UnsafePointer<Float>?
    ) -> R
  ) -> R {
    factor.withUnsafeBufferPointer { factor in
      pivots.withUnsafeBufferPointer { pivots in
        order.withUnsafeBufferPointer { order in
          weights.withUnsafeBufferPointer {
            body(factor.baseAddress, pivots.baseAddress, order.baseAddress, $0.baseAddress)
          }
        }
      }
    }
  }

  /// Blocks by the mean of their diagonal, and inputs of a block by it, both descending.
  private static func order(_ hessian: [Float], inputs: Int) -> [UInt32] {
    let width = TensorFormat.blockInputs
    let diagonal = (0..<inputs).map { hessian[$0 * inputs + $0] }
    let blocks = stride(from: 0, to: inputs, by: width).map { $0..<min(inputs, $0 + width) }
    let means = blocks.map { block in
      block.reduce(0.0) { $0 + Double(diagonal[$1]) } / Double(block.count)
    }
    return blocks.indices.sorted { (means[$0], $1) > (means[$1], $0) }.flatMap { index in
      blocks[index].sorted { (diagonal[$0], $1) > (diagonal[$1], $0) }.map { UInt32($0) }
    }
  }
}

/// The work on the upper triangle of a symmetric matrix `[n, n]`, in place and in blocks from the last
/// rows to the first: H = L D Lᵀ.
///
/// Within a block sums are f64. The rest, which takes nearly all of the time, is f32 products of
/// matrices: their rounding is far below the damping of the diagonal. What a block explains is taken from
/// the other columns of its panel at once, and from all the rest when the panel is done: the matrix is
/// then read and written once for each panel.
private struct TriangularFactor {
  let matrix: UnsafeMutableBufferPointer<Float>
  let pivots: UnsafeMutableBufferPointer<Float>
  let kernels: KernelSet
  let pool: WorkerPool?

  private static let width = 64
  private static let panelWidth = 256
  /// From so many rows on the library is worth its loading.
  private static let libraryRows = 1024
  private var count: Int { pivots.count }

  /// - Returns: the row of the first pivot that is not positive.
  func run() -> Int? {
    var panelEnd = count
    while panelEnd > 0 {
      let panel = max(0, panelEnd - Self.panelWidth)..<panelEnd
      var end = panelEnd
      while end > panel.lowerBound {
        let block = max(panel.lowerBound, end - Self.width)..<end
        if let row = factor(block) { return row }
        reduce(panel.lowerBound..<block.lowerBound, by: block)
        end = block.lowerBound
      }
      reduce(0..<panel.lowerBound, by: panel)
      panelEnd = panel.lowerBound
    }
    return nil
  }

  /// L and D of a block on the diagonal, and L of the rows above it.
  private func factor(_ block: Range<Int>) -> Int? {
    let (first, size) = (block.lowerBound, block.count)
    var own = [Double](repeating: 0, count: size * size)
    for row in 0..<size {
      for column in row..<size {
        own[row * size + column] = Double(matrix[(first + row) * count + first + column])
      }
    }
    var pivot = [Double](repeating: 0, count: size)
    for column in stride(from: size - 1, through: 0, by: -1) {
      var value = own[column * size + column]
      for later in column + 1..<size {
        value -= own[column * size + later] * own[column * size + later] * pivot[later]
      }
      guard value > 0, value < .infinity, Float(value) > 0 else { return first + column }
      pivot[column] = value
      pivots[first + column] = Float(value)
      for row in 0..<column {
        var value = own[row * size + column]
        for later in column + 1..<size {
          value -= own[row * size + later] * own[column * size + later] * pivot[later]
        }
        own[row * size + column] = value / pivot[column]
      }
    }
    for row in 0..<size {
      for column in row + 1..<size {
        matrix[(first + row) * count + first + column] = Float(own[row * size + column])
      }
    }
    let (target, inner, divisors) = (SharedRows(matrix), own, pivot)
    forEachPiece(of: first) { rows in
      var values = [SIMD8<Double>](repeating: .zero, count: size)
      // Sums of one row wait for each other, those of several do not. Behind the last row of a piece lanes
      // repeat it.
      for start in stride(from: rows.lowerBound, to: rows.upperBound, by: 8) {
        let lanes = (0..<8).map { min(start + $0, rows.upperBound - 1) * count + first }
        for column in stride(from: size - 1, through: 0, by: -1) {
          var value = SIMD8<Double>()
          for lane in 0..<8 { value[lane] = Double(target.base[lanes[lane] + column]) }
          for later in column + 1..<size {
            value -= values[later] * inner[column * size + later] * divisors[later]
          }
          values[column] = value / divisors[column]
        }
        for lane in 0..<min(8, rows.upperBound - start) {
          for column in 0..<size { target.base[lanes[lane] + column] = Float(values[column][lane]) }
        }
      }
    }
    return nil
  }

  /// Takes what finished columns explain from columns before them, down to the diagonal: H −= L D Lᵀ.
  private func reduce(_ columns: Range<Int>, by block: Range<Int>) {
    guard !columns.isEmpty else { return }
    let (end, size) = (columns.upperBound, block.count)
    let (left, right) = (Activations(count: end * size), Activations(count: end * size))
    let (x, weights) = (
      left.matrix(rows: end, columns: size), right.matrix(rows: end, columns: size)
    )
    for row in 0..<end {
      for column in 0..<size {
        let value = matrix[row * count + block.lowerBound + column]
        weights.base[row * size + column] = value
        x.base[row * size + column] = -value * pivots[block.lowerBound + column]
      }
    }
    let target = SharedRows(matrix)
    let usesLibrary = columns.count >= Self.libraryRows && OpenBLAS.isThere
    forEachPiece(of: end) { rows in
      let first = max(rows.lowerBound, columns.lowerBound)
      let (x, weights) = (x.base + rows.lowerBound * size, weights.base + first * size)
      let y = target.base + rows.lowerBound * count + first
      if usesLibrary {
        vlm_sgemm(rows.count, end - first, size, x, size, weights, 1, y, count)
      } else {
        kernels.table.pointee.multiply_f32(
          rows.count, size, end - first, x, size, weights, true, y, count)
      }
    }
    withExtendedLifetime((left, right)) {}
  }

  /// Rows 0 to `count` in pieces, by the pool's threads.
  private func forEachPiece(of count: Int, _ body: (Range<Int>) -> Void) {
    let step = Self.width
    let pieces = (count + step - 1) / step
    func run(_ piece: Int) { body(piece * step..<min(count, (piece + 1) * step)) }
    if let pool {
      pool.forEach(count: pieces) { piece, _ in run(piece) }
    } else {
      for piece in 0..<pieces { run(piece) }
    }
  }
}

/// Rows of which each thread writes its own.
private struct SharedRows: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>

  init(_ buffer: UnsafeMutableBufferPointer<Float>) {
    precondition(buffer.baseAddress != nil, "a matrix with values")
    base = buffer.baseAddress!
  }
}
