import Synchronization
import VLMTensor

/// A table of position vectors, and what it becomes on another grid of patches.
///
/// Resampling is PyTorch's antialiased bicubic interpolation: the cubic of Keys with a = -0.5,
/// widened when the grid shrinks; taps outside the table are left out and the others' weights sum
/// to 1. It is not the interpolation without antialiasing, which has a = -0.75 and repeats the
/// border.
package final class PositionTable: Sendable {
  private let stored: Tensor
  private let side: Int
  private let width: Int
  private let classRow: Bool
  /// The last grid asked for: images of one size share the work.
  private let last = Mutex<(grid: MapExtent, rows: Activations)?>(nil)

  /// - Parameters:
  ///   - stored: `[1 + side * side, width]`, the class token's vector first.
  ///   - classRow: whether the class token's vector is wanted; it is never resampled.
  init(_ stored: Tensor, side: Int, width: Int, classRow: Bool) {
    self.stored = stored
    self.side = side
    self.width = width
    self.classRow = classRow
  }

  /// The class token's, `width` values.
  var classVector: UnsafePointer<Float> { stored.floats }

  /// One vector per token of `grid`.
  func rows(for grid: MapExtent) -> Activations {
    last.withLock { last in
      if let last, last.grid == grid { return last.rows }
      let rows = made(for: grid)
      last = (grid, rows)
      return rows
    }
  }

  private func made(for grid: MapExtent) -> Activations {
    let (first, count) = (classRow ? width : 0, grid.count * width)
    let rows = Activations(count: first + count)
    rows.withValues(rows.count) { values in
      for index in 0..<first { values[index] = stored.floats[index] }
      let patches = UnsafeMutableBufferPointer(rebasing: values[first...])
      if grid == MapExtent(height: side, width: side) {
        for index in 0..<count { patches[index] = stored.floats[width + index] }
      } else {
        Self.resample(
          stored.floats + width, side: side, width: width, toHeight: grid.height,
          toWidth: grid.width, into: patches)
      }
    }
    return rows
  }

  /// Weights of neighbouring taps for one output.
  struct Taps: Equatable {
    let first: Int
    let weights: [Float]
  }

  /// For each of `target` outputs, its taps among `source` inputs; output i is centred at
  /// `(i + 0.5) * source / target`.
  static func taps(source: Int, target: Int) -> [Taps] {
    let scale = Double(source) / Double(target)
    let widening = max(scale, 1)
    let support = 2 * widening
    return (0..<target).map { index in
      let center = (Double(index) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), source)
      let weights = (first..<end).map { tap in
        cubic((Double(tap) - center + 0.5) / widening)
      }
      let sum = weights.reduce(0, +)
      return Taps(first: first, weights: weights.map { Float($0 / sum) })
    }
  }

  /// Keys' cubic convolution kernel, a = -0.5.
  private static func cubic(_ x: Double) -> Double {
    let (a, x) = (-0.5, abs(x))
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return ((x - 5) * x + 8) * x * a - 4 * a }
    return 0
  }

  /// `[side * side, width]` to `[height * width of the grid, width]`, across and then down.
  static func resample(
    _ table: UnsafePointer<Float>, side: Int, width: Int, toHeight height: Int,
    toWidth columns: Int, into result: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(result.count == height * columns * width, "one vector per patch")
    let (across, down) = (taps(source: side, target: columns), taps(source: side, target: height))
    var middle = [Float](repeating: 0, count: side * columns * width)
    for line in 0..<side {
      for (column, tap) in across.enumerated() {
        let target = (line * columns + column) * width
        for (offset, weight) in tap.weights.enumerated() {
          let source = table + (line * side + tap.first + offset) * width
          for index in 0..<width { middle[target + index] += source[index] * weight }
        }
      }
    }
    for (line, tap) in down.enumerated() {
      for column in 0..<columns {
        let target = (line * columns + column) * width
        for index in 0..<width { result[target + index] = 0 }
        for (offset, weight) in tap.weights.enumerated() {
          let source = ((tap.first + offset) * columns + column) * width
          for index in 0..<width { result[target + index] += middle[source + index] * weight }
        }
      }
    }
  }
}
