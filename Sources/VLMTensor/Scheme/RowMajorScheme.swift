import CVLMKernels

/// A scheme whose values can be stored one by one in the order of the shape.
package protocol RowMajorScheme: SchemeDescriptor {
  /// Bytes of one value.
  static var elementByteCount: Int { get }

  /// Converts `count` values; `bytes` may have any alignment.
  static func convert(
    _ values: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer)

  /// The inverse of `convert`.
  static func restore(
    _ bytes: UnsafeRawPointer, count: Int, into values: UnsafeMutablePointer<Float>)
}

extension RowMajorScheme {
  package static var rowMajor: (any RowMajorScheme.Type)? { self }

  /// Converts `count` values, and says what was lost.
  package static func encode(
    _ values: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer
  ) -> QuantizationError {
    var stats = vlm_encode_stats()
    // In pieces, so that comparing needs no second array of the tensor's size.
    let piece = 1024
    withUnsafeTemporaryAllocation(of: Float.self, capacity: piece) { decoded in
      guard let start = decoded.baseAddress else { return }
      for first in stride(from: 0, to: count, by: piece) {
        let length = min(piece, count - first)
        let target = bytes + first * elementByteCount
        convert(values + first, count: length, into: target)
        restore(target, count: length, into: start)
        vlm_encode_compare(length, values + first, start, &stats)
      }
    }
    return QuantizationError(stats)
  }
}
