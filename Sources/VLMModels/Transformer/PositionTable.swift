import Synchronization
import VLMTensor

/// A table of position vectors, and what it becomes on another grid of patches.
package final class PositionTable: Sendable {
  /// Which of PyTorch's interpolations (`align_corners` false) makes another grid's vectors.
  package enum Resampling: String, Sendable, Equatable, CaseIterable {
    /// With `antialias`: the cubic of Keys with a = -0.5, widened when the grid shrinks. Taps outside
    /// the table are left out and the others' weights sum to 1.
    case antialiased = "antialiased_bicubic"
    /// The same with a triangle, one tap to each side where the grid does not shrink.
    case antialiasedBilinear = "antialiased_bilinear"
    /// Without it: a = -0.75, four taps always, the border's repeated outside the table.
    case bicubic
  }

  /// The class token's vector, which is never resampled and stands before the patches'.
  package enum ClassRow: Sendable, Equatable {
    /// The table has none.
    case absent
    /// It has one that no token gets.
    case unused
    /// It has one, and one for each of `others` tokens behind that of the class.
    case used(others: Int = 0)

    /// Rows before those of the patches.
    var count: Int {
      switch self {
      case .absent: 0
      case .unused: 1
      case .used(let others): 1 + others
      }
    }
  }

  private let stored: Tensor
  private let grid: MapExtent
  private let width: Int
  private let classRow: ClassRow
  private let resampling: Resampling
  /// The last grid asked for: images of one size share the work.
  private let last = Mutex<(grid: MapExtent, rows: Activations)?>(nil)

  /// - Parameter stored: `[patches of the grid, width]`, behind the rows of `classRow`.
  init(
    _ stored: Tensor, grid: MapExtent, width: Int, classRow: ClassRow,
    resampling: Resampling = .antialiased
  ) {
    self.stored = stored
    self.grid = grid
    self.width = width
    self.classRow = classRow
    self.resampling = resampling
  }

  /// The class token's, `width` values; the first patch's where there is none.
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

  private func made(for target: MapExtent) -> Activations {
    let own = classRow.count * width
    let (first, count) = (classRow == .unused ? 0 : own, target.count * width)
    let table = stored.floats + own
    let rows = Activations(count: first + count)
    rows.withValues(rows.count) { values in
      for index in 0..<first { values[index] = stored.floats[index] }
      let patches = UnsafeMutableBufferPointer(rebasing: values[first...])
      if target == grid {
        for index in 0..<count { patches[index] = table[index] }
      } else {
        Self.resample(table, grid, width: width, to: target, resampling, into: patches)
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
  static func taps(source: Int, target: Int, _ resampling: Resampling = .antialiased) -> [Taps] {
    let scale = Double(source) / Double(target)
    return (0..<target).map { index in
      let center = (Double(index) + 0.5) * scale
      return switch resampling {
      case .antialiased:
        antialiased(center, widening: max(scale, 1), reach: 2, source: source) { cubic($0, -0.5) }
      case .antialiasedBilinear:
        antialiased(center, widening: max(scale, 1), reach: 1, source: source) {
          max(0, 1 - abs($0))
        }
      case .bicubic: fourTaps(center, source: source)
      }
    }
  }

  /// - Parameters:
  ///   - reach: taps to each side that `kernel` is not 0 for, where the grid does not shrink.
  private static func antialiased(
    _ center: Double, widening: Double, reach: Double, source: Int, kernel: (Double) -> Double
  ) -> Taps {
    let support = reach * widening
    let first = max(Int(center - support + 0.5), 0)
    let end = min(Int(center + support + 0.5), source)
    let weights = (first..<end).map { tap in
      kernel((Double(tap) - center + 0.5) / widening)
    }
    let sum = weights.reduce(0, +)
    return Taps(first: first, weights: weights.map { Float($0 / sum) })
  }

  private static func fourTaps(_ center: Double, source: Int) -> Taps {
    let place = center - 0.5
    let base = Int(place.rounded(.down))
    let inside = { (tap: Int) in min(max(tap, 0), source - 1) }
    let first = inside(base - 1)
    var weights = [Double](repeating: 0, count: inside(base + 2) - first + 1)
    for tap in base - 1...base + 2 {
      weights[inside(tap) - first] += cubic(place - Double(tap), -0.75)
    }
    return Taps(first: first, weights: weights.map { Float($0) })
  }

  /// Keys' cubic convolution kernel.
  private static func cubic(_ x: Double, _ a: Double) -> Double {
    let x = abs(x)
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return ((x - 5) * x + 8) * x * a - 4 * a }
    return 0
  }

  /// `[patches of the grid, width]` to those of another, across and then down.
  static func resample(
    _ table: UnsafePointer<Float>, _ grid: MapExtent, width: Int, to target: MapExtent,
    _ resampling: Resampling = .antialiased, into result: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(result.count == target.count * width, "one vector per patch")
    let columns = target.width
    let across = taps(source: grid.width, target: columns, resampling)
    let down = taps(source: grid.height, target: target.height, resampling)
    var middle = [Float](repeating: 0, count: grid.height * columns * width)
    for line in 0..<grid.height {
      for (column, tap) in across.enumerated() {
        let target = (line * columns + column) * width
        for (offset, weight) in tap.weights.enumerated() {
          let source = table + (line * grid.width + tap.first + offset) * width
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
