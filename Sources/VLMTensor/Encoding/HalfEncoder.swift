import CVLMKernels

/// Conversions between f32 and the two 16-bit floats, `f16` (IEEE binary16) and `bf16`.
///
/// Encoding rounds to nearest, ties to even. NaN stays NaN, quiet, with its sign and the top bits of
/// its payload. Finite values past the range become infinite and are counted as overflow.
package enum HalfEncoder {
  /// Encodes `count` values as `f16` or `bf16`, native byte order, and returns what was lost.
  package static func encode(
    _ values: UnsafePointer<Float>, count: Int, scheme: Scheme,
    into destination: UnsafeMutablePointer<UInt16>
  ) -> QuantizationError {
    precondition(scheme == .f16 || scheme == .bf16, "a 16-bit scheme")
    var stats = vlm_encode_stats()
    // In pieces, so that comparing needs no second array of the tensor's size.
    let piece = 1024
    withUnsafeTemporaryAllocation(of: Float.self, capacity: piece) { decoded in
      guard let start = decoded.baseAddress else { return }
      for first in stride(from: 0, to: count, by: piece) {
        let length = min(piece, count - first)
        if scheme == .f16 {
          vlm_f16_from_f32(length, values + first, destination + first)
          vlm_f32_from_f16(length, destination + first, start)
        } else {
          vlm_bf16_from_f32(length, values + first, destination + first)
          vlm_f32_from_bf16(length, destination + first, start)
        }
        vlm_encode_compare(length, values + first, start, &stats)
      }
    }
    return QuantizationError(stats)
  }

  /// Decodes `count` values; every one is exact, and a signalling NaN becomes quiet.
  package static func decode(
    _ values: UnsafePointer<UInt16>, count: Int, scheme: Scheme,
    into destination: UnsafeMutablePointer<Float>
  ) {
    precondition(scheme == .f16 || scheme == .bf16, "a 16-bit scheme")
    if scheme == .f16 {
      vlm_f32_from_f16(count, values, destination)
    } else {
      vlm_f32_from_bf16(count, values, destination)
    }
  }
}
