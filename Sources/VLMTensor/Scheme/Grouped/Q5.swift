import CVLMKernels

extension Scheme {
  /// 5-bit codes, an integer step and offset per 32 inputs, one scale per output.
  package static let q5 = Scheme(Q5.self)
}

/// q5: 5.5 bits per weight.
enum Q5: GroupedScheme {
  static let code: UInt8 = 7
  static let readVersion = 3
  static let name = "q5"
  static let summary = "5-bit codes, a step and an offset per 32 inputs"
  static let codeBits = 5

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.q5, weighs: true, into: panel)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q5)
  }
}
