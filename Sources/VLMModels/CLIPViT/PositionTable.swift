/// Resampling of a table of position vectors to another grid of patches.
///
/// PyTorch's antialiased bicubic interpolation: the cubic of Keys with a = -0.5, widened when the
/// grid shrinks; taps outside the table are left out and the others' weights sum to 1. It is not
/// the interpolation without antialiasing, which has a = -0.75 and repeats the border.
enum PositionTable {
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
