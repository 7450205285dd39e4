import CVLMKernels

/// What q3, q4, q5 and q6 share: codes of `codeBits` bits, an integer step and offset per 32
/// inputs, and one scale per output. They differ in the number of bits, and in what comes with it: the
/// functions of the encoder and of the kernels.
///
/// A weight is `scale * (step * code + offset)`, and the bracket an int8. Steps, offsets and scales
/// are searched for the least squared error (`docs/quantization.md`).
protocol GroupedScheme: PanelScheme {}

extension GroupedScheme {
  static var bitsPerWeight: Double {
    // A step and an offset of 8 bits each.
    Double(codeBits) + 16 / Double(TensorFormat.blockInputs)
  }
  static var fallback: Scheme? { .q8 }
  static var valueType: DType { .f32 }
  static var arithmetic: ProductArithmetic { .int8 }

  static func panelByteCount(inputs: Int) -> Int { vlm_qn_panel_bytes(codeBits, inputs) }

  static var usesImportance: Bool { true }
  static var usesHessian: Bool { true }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    vlm_decode_qn(panel, codeBits, inputs, rowCount, rows, rowStride)
  }

  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault? {
    PanelFault(vlm_check_qn(panel, codeBits, inputs, rowCount))
  }

  static var parts: [PanelPart] {
    [
      .bytes(".codes", .u8, width: { $0 }) { panel, _, row, input in
        UInt8(vlm_qn_code(panel.baseAddress, codeBits, row, input))
      },
      .bytes(".steps", .u8, width: { vlm_block_count($0) }) { panel, inputs, row, block in
        panel[vlm_qn_group_offset(codeBits, inputs, block) + row]
      },
      .bytes(".offsets", .i8, width: { vlm_block_count($0) }) { panel, inputs, row, block in
        panel[vlm_qn_group_offset(codeBits, inputs, block) + TensorFormat.panelOutputs + row]
      },
      .scales { vlm_qn_tail_offset(codeBits, $0) },
    ]
  }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    vlm_panel_row_qn(weights, codeBits, inputs, row, values)
  }
}
