import CVLMKernels

/// A rule of `formats/blocks.md` that the bytes of a panel break.
package struct PanelFault: Sendable, Equatable, CustomStringConvertible {
  package enum Rule: Int32, Sendable, CaseIterable {
    case padding = 2
    case scale = 3
    case code = 4
    case bracket = 5
    case sum = 6
  }

  package let rule: Rule
  /// Output within the panel, 0..<16.
  package let output: Int
  /// Block of 32 inputs; 0 where the rule is about a whole output.
  package let block: Int

  package var description: String {
    switch rule {
    case .padding: "output \(output), block \(block): padding is not zero [B02]"
    case .scale: "output \(output): scale is negative, not finite, too large or of padding [B03]"
    case .code: "output \(output), block \(block): code is -128, expected -127 to 127 [B04]"
    case .bracket: "output \(output), block \(block): step and offset leave -127 to 127 [B05]"
    case .sum: "output \(output): sum is not the sum of the codes [B06]"
    }
  }

  /// The first fault of a panel whose first `rowCount` outputs are real, or nil.
  ///
  /// Reads every byte of the panel. The caller has checked that they are there.
  package static func first(
    in panel: UnsafeRawPointer, scheme: Scheme, inputs: Int, rowCount: Int
  ) -> PanelFault? {
    precondition((1...TensorFormat.panelOutputs).contains(rowCount), "1 to 16 rows")
    precondition((1...TensorFormat.maximumInputs).contains(inputs), "1 to 65,536 inputs")
    let found =
      switch scheme {
      case .f32: vlm_panel_fault()
      case .f16: vlm_check_half(panel, inputs, rowCount, 1)
      case .bf16: vlm_check_half(panel, inputs, rowCount, 2)
      case .q8: vlm_check_q8(panel, inputs, rowCount)
      case .q4: vlm_check_q4(panel, inputs, rowCount)
      }
    return Rule(rawValue: found.rule).map {
      PanelFault(rule: $0, output: Int(found.output), block: Int(found.block))
    }
  }
}
