import VLMTensor

/// How a CLIP's file keeps its matrices, which is how they run.
package enum CLIPLayout: String, Sendable, Equatable, CaseIterable {
  /// transformers': queries, keys and values apart, projections `[outputs, inputs]`.
  case huggingFace = "hugging-face"
  /// open_clip's and OpenAI's own: one matrix for the three, projections `[inputs, outputs]`.
  case openCLIP = "open_clip"
}

/// From a tower's feature to the space that images and texts share. With a bias it is a linear layer,
/// `[outputs, inputs]` in any layout.
///
/// One row for each image or text is too little work to be worth quantizing.
struct JointProjection: Sendable {
  private let weight: Tensor
  private let bias: Tensor?
  private let inputs: Int
  private let outputs: Int
  private let isTransposed: Bool

  init(
    _ weights: Weights, inputs: Int, outputs: Int, _ layout: CLIPLayout, bias hasBias: Bool = false
  ) throws(ModelError) {
    self.inputs = inputs
    self.outputs = outputs
    isTransposed = layout == .openCLIP && !hasBias
    let shape = isTransposed ? [inputs, outputs] : [outputs, inputs]
    weight = try weights.tensor("projection", shape, .vector)
    bias = try weights.vector("projection_bias", outputs, if: hasBias)
  }

  /// - Parameter feature: `inputs` values.
  func callAsFunction(_ feature: [Float]) -> [Float] {
    precondition(feature.count == inputs, "a value per input")
    let (row, column) = isTransposed ? (outputs, 1) : (1, inputs)
    return (0..<outputs).map { output in
      var sum = bias.map { Double($0.floats[output]) } ?? 0
      for input in 0..<inputs {
        sum += Double(feature[input]) * Double(weight.floats[input * row + output * column])
      }
      return Float(sum)
    }
  }
}

extension ConfigFields {
  /// The layout; files from before there were two have no such field.
  func layout(default fallback: CLIPLayout) throws(ModelError) -> CLIPLayout {
    guard has("layout") else { return fallback }
    let name = try string("layout")
    guard let layout = CLIPLayout(rawValue: name) else {
      throw unexpected(
        "layout", name, expected: CLIPLayout.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return layout
  }
}
