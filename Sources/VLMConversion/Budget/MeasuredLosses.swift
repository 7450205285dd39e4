#if canImport(Glibc)
  import Glibc
#endif

/// What a model was found to lose in some mixtures, beside what was expected of them: it corrects
/// what is expected of others.
///
/// Expectations err by a factor that changes slowly with the loss. Between two mixtures that were
/// measured it is interpolated on logarithmic axes, beyond the last it stays. Of two mixtures the one
/// with the smaller expectation never gets the larger one by it.
package struct MeasuredLosses: Sendable, Equatable {
  /// A mixture that was run.
  package struct Point: Sendable, Equatable {
    /// The sum over its matrices.
    package let expected: Double
    /// On data that were held back.
    package let measured: Double

    package init(expected: Double, measured: Double) {
      self.expected = expected
      self.measured = measured
    }
  }

  /// Those that are kept, the latest last.
  package private(set) var points: [Point] = []
  /// The same by what was expected, ascending; what was measured does not fall.
  private var knots: [Point] = []

  /// Points that are kept: of more the earliest are forgotten.
  static let capacity = 16
  /// Expectations that differ by less are the same mixture measured again.
  private static let nearby = 1.02

  package init(_ points: [Point] = []) {
    for point in points { add(point) }
  }

  package var isEmpty: Bool { points.isEmpty }

  /// What losses may be: those of a file may be anything.
  private static let range = 1e-12...1e6

  /// Adds what was measured. Values out of all reason say nothing.
  package mutating func add(_ point: Point) {
    guard Self.range.contains(point.expected), Self.range.contains(point.measured) else { return }
    points.removeAll {
      max($0.expected, point.expected) < Self.nearby * min($0.expected, point.expected)
    }
    points.append(point)
    if points.count > Self.capacity { points.removeFirst() }
    var largest = 0.0
    knots = points.sorted { $0.expected < $1.expected }.map {
      largest = max(largest, $0.measured)
      return Point(expected: $0.expected, measured: largest)
    }
  }

  /// What is lost where `sum` is expected by the sum over matrices.
  package func loss(expecting sum: Double) -> Double {
    guard sum > 0, let first = knots.first, let last = knots.last else { return sum }
    if sum <= first.expected { return sum * (first.measured / first.expected) }
    if sum >= last.expected { return sum * (last.measured / last.expected) }
    let upper = knots.firstIndex { $0.expected > sum } ?? knots.count - 1
    let (a, b) = (knots[upper - 1], knots[upper])
    let share = log(sum / a.expected) / log(b.expected / a.expected)
    return a.measured * pow(b.measured / a.measured, share)
  }

  /// The largest sum that is expected to lose at most `loss`.
  package func sum(losing loss: Double) -> Double {
    guard loss > 0, let first = knots.first, let last = knots.last else { return loss }
    if loss < first.measured { return loss * (first.expected / first.measured) }
    if loss >= last.measured { return loss * (last.expected / last.measured) }
    let upper = knots.firstIndex { $0.measured > loss } ?? knots.count - 1
    let (a, b) = (knots[upper - 1], knots[upper])
    let share = log(loss / a.measured) / log(b.measured / a.measured)
    return a.expected * pow(b.expected / a.expected, share)
  }
}
