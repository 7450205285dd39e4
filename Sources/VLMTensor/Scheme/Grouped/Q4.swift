import CVLMKernels

extension Scheme {
  /// 4-bit codes, an integer step and offset per 32 inputs, one scale per output.
  package static let q4 = Scheme(Q4.self)
}

/// q4: 4.5 bits per weight.
enum Q4: GroupedScheme {
  static let code: UInt8 = 5
  static let name = "q4"
  static let summary = "4-bit codes, a step and an offset per 32 inputs"
  static let codeBits = 4

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.q4, weighs: true, into: panel)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q4)
  }
}
