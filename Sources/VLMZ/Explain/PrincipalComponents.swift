/// The directions in which vectors differ most.
package enum PrincipalComponents {
  /// Iterations of the subspace method. Colours need no more: components whose variances are close
  /// to each other mix, which turns the colours and changes nothing else.
  private static let iterations = 16

  /// Projects rows onto their first `count` principal components, each scaled so that the middle
  /// 96 % of the rows fill 0...1; what lies beyond is clipped.
  ///
  /// Orthogonal iteration on the centred rows, never forming the covariance; deterministic. The sign
  /// of a component is chosen so that its largest loading is positive.
  ///
  /// - Parameter values: `[rows, columns]`, row by row.
  /// - Returns: `[rows, count]`; 0.5 where a component has no variance.
  package static func project(
    _ values: [Float], rows: Int, columns: Int, count: Int = 3
  ) -> [Float] {
    precondition(rows > 0 && columns > 0 && values.count == rows * columns, "rows of columns")
    var centred = values
    centre(&centred, rows: rows, columns: columns)
    var basis = start(columns: columns, count: count)
    orthonormalize(&basis, columns: columns, count: count)
    var scores = [Double](repeating: 0, count: rows * count)
    for _ in 0..<iterations {
      multiply(centred, basis, rows: rows, columns: columns, count: count, into: &scores)
      accumulate(centred, scores, rows: rows, columns: columns, count: count, into: &basis)
      orthonormalize(&basis, columns: columns, count: count)
    }
    fixSigns(&basis, columns: columns, count: count)
    multiply(centred, basis, rows: rows, columns: columns, count: count, into: &scores)
    return (0..<rows * count).map { index in
      Float(scores[index])
    }.scaledByColumn(rows: rows, count: count)
  }

  private static func centre(_ values: inout [Float], rows: Int, columns: Int) {
    for column in 0..<columns {
      var sum = 0.0
      for row in 0..<rows {
        let value = values[row * columns + column]
        // A picture of broken features should show them as plain, not be undefined.
        if !value.isFinite { values[row * columns + column] = 0 } else { sum += Double(value) }
      }
      let mean = Float(sum / Double(rows))
      for row in 0..<rows { values[row * columns + column] -= mean }
    }
  }

  /// Any vectors that are not orthogonal to the answer will do: multiplicative noise of a fixed seed.
  private static func start(columns: Int, count: Int) -> [Double] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    return (0..<columns * count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 40) / Double(1 << 24) - 0.5
    }
  }

  /// `scores[r][k] = Σ_c x[r][c] basis[k][c]`.
  private static func multiply(
    _ x: [Float], _ basis: [Double], rows: Int, columns: Int, count: Int,
    into scores: inout [Double]
  ) {
    for row in 0..<rows {
      for component in 0..<count {
        var sum = 0.0
        for column in 0..<columns {
          sum += Double(x[row * columns + column]) * basis[component * columns + column]
        }
        scores[row * count + component] = sum
      }
    }
  }

  /// `basis[k][c] = Σ_r scores[r][k] x[r][c]`.
  private static func accumulate(
    _ x: [Float], _ scores: [Double], rows: Int, columns: Int, count: Int,
    into basis: inout [Double]
  ) {
    for index in basis.indices { basis[index] = 0 }
    for row in 0..<rows {
      for component in 0..<count {
        let score = scores[row * count + component]
        for column in 0..<columns {
          basis[component * columns + column] += score * Double(x[row * columns + column])
        }
      }
    }
  }

  /// Gram-Schmidt. A direction without length becomes zero, and stays so.
  private static func orthonormalize(_ basis: inout [Double], columns: Int, count: Int) {
    for component in 0..<count {
      let own = component * columns
      for earlier in 0..<component {
        let other = earlier * columns
        var dot = 0.0
        for column in 0..<columns { dot += basis[own + column] * basis[other + column] }
        for column in 0..<columns { basis[own + column] -= dot * basis[other + column] }
      }
      var square = 0.0
      for column in 0..<columns { square += basis[own + column] * basis[own + column] }
      let scale = square > 1e-300 ? 1 / square.squareRoot() : 0
      for column in 0..<columns { basis[own + column] *= scale }
    }
  }

  private static func fixSigns(_ basis: inout [Double], columns: Int, count: Int) {
    for component in 0..<count {
      let range = component * columns..<(component + 1) * columns
      let largest = basis[range].max { abs($0) < abs($1) } ?? 0
      if largest < 0 { for index in range { basis[index] = -basis[index] } }
    }
  }
}

extension [Float] {
  /// Each column stretched so that its 2nd and 98th percentile become 0 and 1.
  fileprivate func scaledByColumn(rows: Int, count: Int) -> [Float] {
    var result = self
    for column in 0..<count {
      let sorted = (0..<rows).map { self[$0 * count + column] }.sorted()
      let low = sorted[rows * 2 / 100]
      let high = sorted[(rows - 1) * 98 / 100]
      let range = high - low
      for row in 0..<rows {
        let value = self[row * count + column]
        let scaled = range > 0 ? (value - low) / range : 0.5
        result[row * count + column] = Swift.min(1, Swift.max(0, scaled))
      }
    }
    return result
  }
}
