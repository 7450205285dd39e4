import VLMTensor

extension ModelError {
  /// Refuses a number outside `range`.
  static func check(
    _ field: String, _ value: Int, _ range: ClosedRange<Int>
  ) throws(ModelError) {
    guard range.contains(value) else {
      throw ModelError(
        .configuration(
          field: field, found: String(value),
          expected: "\(range.lowerBound) to \(range.upperBound)"))
    }
  }
}
