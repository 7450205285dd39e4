import CVLMKernels

extension Scheme {
  /// 3-bit codes, an integer step and offset per 32 inputs, one scale per output.
  package static let q3 = Scheme(Q3.self)
}

/// q3: 3.5 bits per weight.
enum Q3: GroupedScheme {
  static let code: UInt8 = 6
  static let readVersion = 3
  static let name = "q3"
  static let summary = "3-bit codes, a step and an offset per 32 inputs"
  static let codeBits = 3

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    source.encode(by: encoder.pointee.q3, weighs: true, into: panel)
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes(table.gemm_u8_q3)
  }
}
