import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The angles that stand for the places of patches (Siméoni et al., "DINOv3", section 3.2): of a
/// patch whose centre lies at (y, x), both from -1 to 1 over the picture, `2π y b^(-4i/d)` in the
/// first d/4 columns and `2π x b^(-4i/d)` in the next, d being a head's dimension and b the base.
struct PatchRotation: Sendable {
  private let memory: Activations
  private let rows: Int
  private let columns: Int

  /// - Parameter headDimension: a multiple of 4.
  init(_ grid: MapExtent, base: Double, headDimension: Int) {
    (rows, columns) = (grid.count, headDimension / 2)
    let (half, count) = (columns / 2, rows * columns)
    let frequencies = (0..<half).map { index in
      2 * Double.pi * pow(base, -4 * Double(index) / Double(headDimension))
    }
    memory = Activations(count: max(1, 2 * count))
    memory.withValues(2 * count) { values in
      for row in 0..<rows {
        let place = [
          2 * (Double(row / grid.width) + 0.5) / Double(grid.height) - 1,
          2 * (Double(row % grid.width) + 0.5) / Double(grid.width) - 1,
        ]
        for column in 0..<columns {
          let angle = place[column / half] * frequencies[column % half]
          values[row * columns + column] = Float(cos(angle))
          values[count + row * columns + column] = Float(sin(angle))
        }
      }
    }
  }

  /// `[patches, headDimension / 2]`.
  var cosines: MatrixView { memory.matrix(rows: 2 * rows, columns: columns)[0..<rows] }
  var sines: MatrixView { memory.matrix(rows: 2 * rows, columns: columns)[rows..<2 * rows] }
}
