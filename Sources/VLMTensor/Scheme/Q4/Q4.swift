import CVLMKernels

extension Scheme {
  /// 4-bit codes, an integer step and offset per 32 inputs, one scale per output.
  package static let q4 = Scheme(Q4.self)
}

/// q4: `scale * (step * code + offset)`, with step and offset of 32 inputs and the scale of an
/// output searched for the least squared error (`docs/quantization.md`).
enum Q4: PanelScheme {
  static let code: UInt8 = 5
  static let name = "q4"
  static let summary = "4-bit codes, a step and an offset per 32 inputs"

  static let codeBits = 4
  static let bitsPerWeight = 4.5
  static let fallback: Scheme? = .q8
  static let valueType = DType.f32
  static let arithmetic = ProductArithmetic.int8

  static func panelByteCount(inputs: Int) -> Int { vlm_q4_panel_bytes(inputs) }

  static let usesImportance = true

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(
      by: encoder.pointee.q4, weights: source.statistics?.importance, into: panel)
  }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    vlm_decode_q4(panel, inputs, rowCount, rows, rowStride)
  }

  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault? {
    PanelFault(vlm_check_q4(panel, inputs, rowCount))
  }

  static let parts: [PanelPart] = [
    .bytes(".codes", .u8, width: { $0 }) { panel, _, row, input in
      let pair = panel[vlm_q4_code_offset(row, input)]
      return vlm_q4_code_is_high(input) ? pair >> 4 : pair & 15
    },
    .bytes(".steps", .u8, width: { vlm_block_count($0) }) { panel, inputs, row, block in
      panel[vlm_q4_group_offset(inputs, block) + row]
    },
    .bytes(".offsets", .i8, width: { vlm_block_count($0) }) { panel, inputs, row, block in
      panel[vlm_q4_group_offset(inputs, block) + TensorFormat.panelOutputs + row]
    },
    .scales { vlm_q4_tail_offset($0) },
  ]

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q4, table.add_outliers_q4)
  }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    vlm_panel_row_q4(weights, inputs, row, values)
  }
}
