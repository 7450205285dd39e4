import CVLMKernels

/// Encodes and decodes single panels of up to 16 outputs (`formats/blocks.md`), in any scheme that
/// has panels.
///
/// The bytes depend on the rows and on nothing else: not on the processor, not on threads.
package enum PanelEncoder {
  /// Encodes `rowCount` rows (1...16) of `inputs` values as one panel.
  ///
  /// - Parameters:
  ///   - rows: `rows[n * rowStride + k]` is the weight of output n for input k.
  ///   - inputs: 1 up to `TensorFormat.maximumInputs`.
  ///   - scheme: one that has panels.
  ///   - statistics: of the rows that the matrix will be multiplied by, with as many inputs; nil:
  ///     all inputs weigh the same.
  ///   - kernels: whose instruction set the encoder may use.
  ///   - destination: `TensorFormat.panelByteCount(inputs:)` bytes, all of which are written.
  /// - Returns: the error against the rows, unweighted.
  package static func encode(
    rows: UnsafePointer<Float>, rowCount: Int, rowStride: Int, inputs: Int, scheme: Scheme,
    statistics: CalibrationStatistics? = nil, kernels: KernelSet,
    into destination: UnsafeMutableRawPointer
  ) -> QuantizationError {
    encode(
      rows: rows, rowCount: rowCount, rowStride: rowStride, inputs: inputs, scheme: scheme,
      statistics: statistics, into: destination, with: kernels.encoder)
  }

  /// As above with the functions of one instruction set, for comparing them.
  static func encode(
    rows: UnsafePointer<Float>, rowCount: Int, rowStride: Int, inputs: Int, scheme: Scheme,
    statistics: CalibrationStatistics? = nil, into destination: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    let panels = checked(scheme, rowCount: rowCount, inputs: inputs)
    precondition(statistics.map { $0.inputs == inputs } ?? true, "statistics of these inputs")
    let source = PanelSource(
      rows: rows, rowCount: rowCount, rowStride: rowStride, inputs: inputs,
      statistics: statistics)
    return panels.encode(source, into: destination, with: encoder)
  }

  /// Decodes the first `rowCount` outputs of a panel: output n, input k goes to
  /// `rows[n * rowStride + k]`. Any bytes are decoded without a trap.
  package static func decode(
    panel: UnsafeRawPointer, scheme: Scheme, inputs: Int, rowCount: Int,
    into rows: UnsafeMutablePointer<Float>, rowStride: Int
  ) {
    checked(scheme, rowCount: rowCount, inputs: inputs).decode(
      panel: panel, inputs: inputs, rowCount: rowCount, into: rows, rowStride: rowStride)
  }

  /// The panels of `scheme`, for a panel of that size.
  static func checked(_ scheme: Scheme, rowCount: Int, inputs: Int) -> any PanelScheme.Type {
    precondition((1...TensorFormat.panelOutputs).contains(rowCount), "1 to 16 rows")
    precondition((1...TensorFormat.maximumInputs).contains(inputs), "1 to 65,536 inputs")
    guard let panels = scheme.panels else { preconditionFailure("a scheme that has panels") }
    return panels
  }
}
