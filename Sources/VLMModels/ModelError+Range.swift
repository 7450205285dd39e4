import VLMTensor

extension ModelError {
  /// Refuses a number outside `range`.
  static func check<Number: Comparable>(
    _ field: String, _ value: Number, _ range: ClosedRange<Number>
  ) throws(ModelError) {
    guard range.contains(value) else {
      throw ModelError(
        .configuration(
          field: field, found: "\(value)",
          expected: "\(range.lowerBound) to \(range.upperBound)"))
    }
  }
}
