import CVLMKernels

extension Scheme {
  /// IEEE binary16.
  package static let f16 = Scheme(F16.self)
}

/// f16: IEEE half precision, 11 bits of precision up to 65,504.
enum F16: HalfScheme {
  static let code: UInt8 = 2
  static let name = "f16"
  static let summary = "IEEE half precision"

  static let valueType = DType.f16
  static let arithmetic = ProductArithmetic.f32
  static let together = 1

  static func round(
    _ values: UnsafePointer<Float>, count: Int, into halves: UnsafeMutablePointer<UInt16>
  ) {
    vlm_f16_from_f32(count, values, halves)
  }

  static func restore(
    _ bytes: UnsafeRawPointer, count: Int, into values: UnsafeMutablePointer<Float>
  ) {
    vlm_f32_from_f16(count, bytes, values)
  }

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.f16, into: panel)
  }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    vlm_decode_f16(panel, inputs, rowCount, rows, rowStride)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel { .floats(table.gemm_f32_f16) }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    vlm_panel_row_f16(weights, inputs, row, values)
  }
}
