import CVLMKernels

extension Scheme {
  /// bfloat16, the upper half of a binary32.
  package static let bf16 = Scheme(BF16.self)
}

/// bf16: 8 bits of precision, and the range of f32.
enum BF16: HalfScheme {
  static let code: UInt8 = 3
  static let name = "bf16"
  static let summary = "bfloat16"

  static let valueType = DType.bf16
  static let arithmetic = ProductArithmetic.bf16
  static let together = 2

  static func round(
    _ values: UnsafePointer<Float>, count: Int, into halves: UnsafeMutablePointer<UInt16>
  ) {
    vlm_bf16_from_f32(count, values, halves)
  }

  static func restore(
    _ bytes: UnsafeRawPointer, count: Int, into values: UnsafeMutablePointer<Float>
  ) {
    vlm_f32_from_bf16(count, bytes, values)
  }

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.bf16, into: panel)
  }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    vlm_decode_bf16(panel, inputs, rowCount, rows, rowStride)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel { .floats(table.gemm_f32_bf16) }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    vlm_panel_row_bf16(weights, inputs, row, values)
  }
}
