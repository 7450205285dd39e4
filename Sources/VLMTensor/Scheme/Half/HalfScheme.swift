import CVLMKernels

/// What the two 16-bit floats share: their sizes, and values that stand in panels as they are.
///
/// Encoding rounds to nearest, ties to even. NaN stays NaN, quiet, with its sign and the top bits of
/// its payload. Finite values past the range become infinite and are counted as overflow. Decoding
/// is exact, and a signalling NaN becomes quiet.
protocol HalfScheme: RowMajorScheme, PanelScheme {
  /// Inputs of one output that lie side by side in a panel.
  static var together: Int { get }

  /// Rounds `count` values.
  static func round(
    _ values: UnsafePointer<Float>, count: Int, into halves: UnsafeMutablePointer<UInt16>)
}

extension HalfScheme {
  static var codeBits: Int { 16 }
  static var bitsPerWeight: Double { 16 }
  static var elementByteCount: Int { 2 }

  static func convert(
    _ values: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer
  ) {
    // Not bound in place: an array of bytes promises no alignment for 16-bit values.
    let piece = 1024
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: piece) { halves in
      guard let start = halves.baseAddress else { return }
      for first in stride(from: 0, to: count, by: piece) {
        let length = min(piece, count - first)
        round(values + first, count: length, into: start)
        (bytes + first * elementByteCount).copyMemory(
          from: start, byteCount: length * elementByteCount)
      }
    }
  }

  static func panelByteCount(inputs: Int) -> Int { vlm_half_panel_bytes(inputs) }

  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault? {
    PanelFault(vlm_check_half(panel, inputs, rowCount, together))
  }
}
