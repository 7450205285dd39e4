import VLMTensor

// Results that are no numbers are errors, not answers.

extension UnsafeBufferPointer where Element == Float {
  /// Values that are NaN or infinite.
  fileprivate var notFiniteCount: Int {
    let exponent: UInt32 = 0x7f80_0000
    var count: UInt32 = 0
    for value in self { count &+= value.bitPattern & exponent == exponent ? 1 : 0 }
    return Int(count)
  }
}

extension MatrixView {
  /// Values that are NaN or infinite.
  package var notFiniteCount: Int {
    (0..<rows).reduce(0) { count, row in count + withRow(row) { $0.notFiniteCount } }
  }

  /// - Throws: `ModelError` that calls them `name` when some are NaN or infinite.
  func requireFinite(_ name: String) throws(ModelError) {
    let count = notFiniteCount
    if count > 0 { throw ModelError(.notFinite(name, count: count, of: rows * columns)) }
  }
}

extension [Float] {
  /// - Throws: `ModelError` that calls them `name` when some are NaN or infinite.
  func requireFinite(_ name: String) throws(ModelError) {
    let notFinite = withUnsafeBufferPointer { $0.notFiniteCount }
    if notFinite > 0 { throw ModelError(.notFinite(name, count: notFinite, of: count)) }
  }
}
