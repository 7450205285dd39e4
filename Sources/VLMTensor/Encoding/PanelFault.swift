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
    PanelEncoder.checked(scheme, rowCount: rowCount, inputs: inputs)
      .fault(in: panel, inputs: inputs, rowCount: rowCount)
  }
}

extension PanelFault {
  /// What a check of the C library found; nil when that is nothing.
  init?(_ found: vlm_panel_fault) {
    guard let rule = Rule(rawValue: found.rule) else { return nil }
    self.init(rule: rule, output: Int(found.output), block: Int(found.block))
  }
}
