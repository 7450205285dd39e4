import CVLMKernels

/// How a tensor's values are ordered in its bytes.
package enum TensorLayout: UInt8, Sendable, CaseIterable {
  /// C order of the shape.
  case rowMajor = 0
  /// Panels of 16 outputs (`vlm_blocks.h`). Matrices only.
  case panels = 1
}

/// Which permutation of the shape's axes `TensorLayout` applies to.
package enum AxisOrder: UInt8, Sendable, CaseIterable {
  /// The shape as it stands.
  case natural = 0
  /// `[out, in, height, width]` is stored as the matrix `[out, height * width * in]`.
  case channelsLast = 1
  /// Depthwise `[channels, 1, height, width]` is stored as `[height, width, channels]`.
  case tapsFirst = 2
}

/// Everything that decides how many bytes a tensor takes and what they mean.
package struct TensorFormat: Sendable, Hashable, CustomStringConvertible {
  package let scheme: Scheme
  package let layout: TensorLayout
  package let order: AxisOrder

  package init(scheme: Scheme, layout: TensorLayout = .rowMajor, order: AxisOrder = .natural) {
    self.scheme = scheme
    self.layout = layout
    self.order = order
  }

  /// "q4 panels, channels last".
  package var description: String {
    let layoutText = layout == .panels ? " panels" : ""
    let orderText =
      switch order {
      case .natural: ""
      case .channelsLast: ", channels last"
      case .tapsFirst: ", taps first"
      }
    return scheme.name + layoutText + orderText
  }

  /// Outputs of a panel.
  package static let panelOutputs = Int(VLM_PANEL_OUTPUTS)
  /// Inputs of a block.
  package static let blockInputs = Int(VLM_BLOCK_INPUTS)
  /// Integer sums of longer rows could pass 2^31.
  package static let maximumInputs = Int(VLM_MAX_INPUTS)

  /// Whether the bytes are f32 numbers, to be used in place.
  package var holdsFloats: Bool { layout == .rowMajor && scheme.valueType == .f32 }

  /// Bytes that a tensor of `shape` takes, or nil when the combination is not allowed or a size
  /// overflows. The one formula that reader, writer and planner share.
  package func byteCount(shape: [Int]) -> Int? {
    guard shape.count <= 8, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    if order != .natural, shape.count != 4 { return nil }
    if order == .tapsFirst, layout != .rowMajor || shape[1] != 1 { return nil }
    switch layout {
    case .rowMajor:
      guard var total = scheme.rowMajor?.elementByteCount else { return nil }
      // An empty tensor is empty whatever its other extents; the product must not overflow first.
      if shape.contains(0) { return 0 }
      for extent in shape {
        let (product, overflow) = total.multipliedReportingOverflow(by: extent)
        if overflow { return nil }
        total = product
      }
      return total
    case .panels:
      guard let (outputs, inputs) = matrixShape(shape), outputs > 0, inputs > 0,
        inputs <= Self.maximumInputs, let panel = panelByteCount(inputs: inputs)
      else { return nil }
      let panels = (outputs - 1) / Self.panelOutputs + 1
      let (total, overflow) = panels.multipliedReportingOverflow(by: panel)
      return overflow ? nil : total
    }
  }

  /// Bytes of one panel of 16 outputs, nil for a scheme without panels.
  package func panelByteCount(inputs: Int) -> Int? {
    scheme.panels?.panelByteCount(inputs: inputs)
  }

  /// The matrix that `shape` is run as: `[outputs, inputs]`.
  package func matrixShape(_ shape: [Int]) -> (outputs: Int, inputs: Int)? {
    switch order {
    case .natural:
      return shape.count == 2 ? (shape[0], shape[1]) : nil
    case .channelsLast:
      guard shape.count == 4 else { return nil }
      let (area, first) = shape[2].multipliedReportingOverflow(by: shape[3])
      let (inputs, second) = area.multipliedReportingOverflow(by: shape[1])
      return first || second ? nil : (shape[0], inputs)
    case .tapsFirst:
      return nil
    }
  }
}
