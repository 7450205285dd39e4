/// How the values of a tensor are stored in a container; `formats/blocks.md` is normative.
package enum Scheme: UInt8, Sendable, CaseIterable {
  case f32 = 1
  case f16 = 2
  case bf16 = 3
  /// int8 codes, one scale per output.
  case q8 = 4
  /// 4-bit codes, an integer step and offset per 32 inputs, one scale per output.
  case q4 = 5

  package var name: String {
    switch self {
    case .f32: "f32"
    case .f16: "f16"
    case .bf16: "bf16"
    case .q8: "q8"
    case .q4: "q4"
    }
  }

  /// How a matrix is stored.
  package var matrixLayout: TensorLayout { self == .f32 ? .rowMajor : .panels }

  package init?(name: String) {
    guard let scheme = Scheme.allCases.first(where: { $0.name == name }) else { return nil }
    self = scheme
  }
}

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

  package static let panelOutputs = 16
  package static let blockInputs = 32
  /// Integer sums of longer rows could pass 2^31.
  package static let maximumInputs = 65_536

  /// Bytes that a tensor of `shape` takes, or nil when the combination is not allowed or a size
  /// overflows. The one formula that reader, writer and planner share.
  package func byteCount(shape: [Int]) -> Int? {
    guard shape.count <= 8, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    if order != .natural, shape.count != 4 { return nil }
    if order == .tapsFirst, layout != .rowMajor || shape[1] != 1 { return nil }
    switch layout {
    case .rowMajor:
      let width: Int
      switch scheme {
      case .f32: width = 4
      case .f16, .bf16: width = 2
      case .q8, .q4: return nil
      }
      var total = width
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
    let blocks = (inputs + Self.blockInputs - 1) / Self.blockInputs
    switch scheme {
    case .f32: return nil
    case .f16, .bf16: return blocks * 1024
    case .q8: return blocks * 512 + 128
    case .q4: return blocks * 256 + (blocks * 32 + 63) / 64 * 64 + 128
    }
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
