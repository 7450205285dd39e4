import CVLMKernels

/// The codes, steps, offsets and scales of a q8 or q4 panel, apart (`formats/blocks.md`).
package struct PanelParts {
  private let bytes: UnsafeRawBufferPointer
  private let scheme: Scheme
  private let inputs: Int

  /// - Precondition: `bytes` are one panel of `inputs` inputs in `scheme`, and outlive this value.
  package init(_ bytes: UnsafeRawBufferPointer, scheme: Scheme, inputs: Int) {
    let size = TensorFormat(scheme: scheme, layout: .panels).panelByteCount(inputs: inputs)
    precondition(scheme == .q8 || scheme == .q4, "a scheme that has codes")
    precondition(bytes.count == size, "the bytes of one panel")
    self.bytes = bytes
    self.scheme = scheme
    self.inputs = inputs
  }

  /// `[rows][inputs]`: int8 for q8, 0...15 for q4.
  package func codes(_ rows: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: rows * inputs)
    for row in 0..<rows {
      for input in 0..<inputs {
        let code: UInt8
        if scheme == .q8 {
          code = bytes[input / 4 * 64 + row * 4 + input % 4]
        } else {
          let pair = bytes[input / 8 * 64 + row * 4 + input % 4]
          code = input % 8 < 4 ? pair & 15 : pair >> 4
        }
        result[row * inputs + input] = code
      }
    }
    return result
  }

  /// `[rows][groups of 32 inputs]` of q4: the steps, 0...16, or the offsets, int8.
  package func groups(_ rows: Int, isOffset: Bool) -> [UInt8] {
    precondition(scheme == .q4, "a scheme that has groups")
    let start = vlm_q4_groups_offset(inputs)
    let count = (inputs + TensorFormat.blockInputs - 1) / TensorFormat.blockInputs
    var result = [UInt8](repeating: 0, count: rows * count)
    for row in 0..<rows {
      for group in 0..<count {
        let place = start + group * 2 * TensorFormat.panelOutputs
        result[row * count + group] =
          bytes[place + (isOffset ? TensorFormat.panelOutputs : 0) + row]
      }
    }
    return result
  }

  /// `[rows]` as little-endian f32.
  package func scales(_ rows: Int) -> [UInt8] {
    let start = scheme == .q8 ? vlm_q8_tail_offset(inputs) : vlm_q4_tail_offset(inputs)
    return Array(bytes[start..<start + rows * 4])
  }
}
