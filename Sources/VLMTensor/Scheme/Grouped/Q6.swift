import CVLMKernels

extension Scheme {
  /// 6-bit codes, an integer step and offset per 32 inputs, one scale per output.
  package static let q6 = Scheme(Q6.self)
}

/// q6: 6.5 bits per weight.
enum Q6: GroupedScheme {
  static let code: UInt8 = 8
  static let readVersion = 3
  static let name = "q6"
  static let summary = "6-bit codes, a step and an offset per 32 inputs"
  static let codeBits = 6

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.q6, weighs: true, into: panel)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q6)
  }
}
