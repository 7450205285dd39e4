import CVLMKernels

/// Encodes and decodes single panels of up to 16 outputs (`formats/blocks.md`).
///
/// The bytes depend on the rows and on nothing else: not on the processor, not on threads.
package enum PanelEncoder {
  /// Encodes `rowCount` rows (1...16) of `inputs` values as one panel.
  ///
  /// - Parameters:
  ///   - rows: `rows[n * rowStride + k]` is the weight of output n for input k.
  ///   - inputs: 1 up to `TensorFormat.maximumInputs`.
  ///   - scheme: any but `f32`, which has no panels.
  ///   - importance: `inputs` weights of the squared error that `q4` minimises, as in the mean
  ///     square of each input over a calibration set; negative and NaN count as 0. The other
  ///     schemes take no notice.
  ///   - destination: `TensorFormat.panelByteCount(inputs:)` bytes, all of which are written.
  /// - Returns: the error against the rows, unweighted.
  package static func encode(
    rows: UnsafePointer<Float>, rowCount: Int, rowStride: Int, inputs: Int, scheme: Scheme,
    importance: UnsafePointer<Float>?, into destination: UnsafeMutableRawPointer
  ) -> QuantizationError {
    encode(
      rows: rows, rowCount: rowCount, rowStride: rowStride, inputs: inputs, scheme: scheme,
      importance: importance, into: destination, with: vlm_encoder_best())
  }

  /// As above with the functions of one instruction set, for comparing them.
  static func encode(
    rows: UnsafePointer<Float>, rowCount: Int, rowStride: Int, inputs: Int, scheme: Scheme,
    importance: UnsafePointer<Float>?, into destination: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    precondition((1...TensorFormat.panelOutputs).contains(rowCount), "1 to 16 rows")
    precondition((1...TensorFormat.maximumInputs).contains(inputs), "1 to 65,536 inputs")
    let scratch = UnsafeMutableRawPointer.allocate(
      byteCount: vlm_encode_scratch_bytes(inputs), alignment: 64)
    defer { scratch.deallocate() }
    var panel = vlm_encode_panel(
      rows: rows, row_count: rowCount, row_stride: rowStride, inputs: inputs,
      importance: importance, panel: destination, scratch: scratch)
    var stats = vlm_encode_stats()
    switch scheme {
    case .f32: preconditionFailure("a scheme that has panels")
    case .f16: encoder.pointee.f16(&panel, &stats)
    case .bf16: encoder.pointee.bf16(&panel, &stats)
    case .q8: encoder.pointee.q8(&panel, &stats)
    case .q4: encoder.pointee.q4(&panel, &stats)
    }
    return QuantizationError(stats)
  }

  /// Decodes the first `rowCount` outputs of a panel: output n, input k goes to
  /// `rows[n * rowStride + k]`. Any bytes are decoded without a trap.
  package static func decode(
    panel: UnsafeRawPointer, scheme: Scheme, inputs: Int, rowCount: Int,
    into rows: UnsafeMutablePointer<Float>, rowStride: Int
  ) {
    precondition((1...TensorFormat.panelOutputs).contains(rowCount), "1 to 16 rows")
    precondition((1...TensorFormat.maximumInputs).contains(inputs), "1 to 65,536 inputs")
    switch scheme {
    case .f32: preconditionFailure("a scheme that has panels")
    case .f16: vlm_decode_f16(panel, inputs, rowCount, rows, rowStride)
    case .bf16: vlm_decode_bf16(panel, inputs, rowCount, rows, rowStride)
    case .q8: vlm_decode_q8(panel, inputs, rowCount, rows, rowStride)
    case .q4: vlm_decode_q4(panel, inputs, rowCount, rows, rowStride)
    }
  }
}
