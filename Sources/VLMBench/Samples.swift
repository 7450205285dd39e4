/// Times of one case, in seconds.
package struct Samples: Sendable, Equatable {
  package private(set) var values: [Double] = []

  package init(_ values: [Double] = []) { self.values = values }

  package mutating func add(_ value: Double) { values.append(value) }

  package var minimum: Double { values.min() ?? .nan }
  package var maximum: Double { values.max() ?? .nan }

  /// The middle value, or the mean of the two middle ones; NaN of none.
  package var median: Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// (maximum - minimum) / median: how far to trust the median.
  package var spread: Double { (maximum - minimum) / median }
}
