import CVLMKernels

extension Scheme {
  /// int8 codes, one scale per output.
  package static let q8 = Scheme(Q8.self)
}

/// q8: one scale per output, absmax / 127, and codes rounded to the nearest; with a Hessian each is
/// rounded so that it makes up for the errors of others.
enum Q8: PanelScheme {
  static let code: UInt8 = 4
  static let name = "q8"
  static let summary = "int8, one scale per output"

  static let codeBits = 8
  static let bitsPerWeight = 8.0
  static let valueType = DType.f32
  static let arithmetic = ProductArithmetic.int8
  static let usesHessian = true

  static func panelByteCount(inputs: Int) -> Int { vlm_q8_panel_bytes(inputs) }

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.q8, into: panel)
  }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    vlm_decode_q8(panel, inputs, rowCount, rows, rowStride)
  }

  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault? {
    PanelFault(vlm_check_q8(panel, inputs, rowCount))
  }

  static let parts: [PanelPart] = [
    .bytes(".codes", .i8, width: { $0 }) { panel, _, row, input in
      panel[vlm_q8_code_offset(row, input)]
    },
    .scales { vlm_q8_tail_offset($0) },
  ]

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q8)
  }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    vlm_panel_row_q8(weights, inputs, row, values)
  }
}
