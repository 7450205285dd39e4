import VLMTensor

/// Checks the rules of `formats/blocks.md` that concern the tensor bytes.
enum BlockCheck {
  /// The first rule that the panels of `tensor` break; nil if none.
  ///
  /// - Parameter bytes: all bytes of the tensor.
  static func problem(_ tensor: TensorEntry, _ bytes: UnsafeRawBufferPointer) -> String? {
    let format = tensor.format
    guard format.layout == .panels, let (outputs, inputs) = format.matrixShape(tensor.shape),
      let size = format.panelByteCount(inputs: inputs)
    else { return nil }
    for first in stride(from: 0, to: outputs, by: TensorFormat.panelOutputs) {
      let start = first / TensorFormat.panelOutputs * size
      guard let base = bytes.slice(start..<start + size).baseAddress else { return nil }
      let fault = PanelFault.first(
        in: base, scheme: format.scheme, inputs: inputs,
        rowCount: min(outputs - first, TensorFormat.panelOutputs))
      if let fault { return "panel \(first / TensorFormat.panelOutputs): \(fault)" }
    }
    return nil
  }
}
