import VLMFoundation
import VLMTensor

/// The tensors of a stem of convolutions as timm's `ConvStem` names them, and what of ours is made of
/// them: all but the last are followed by a batch norm, which is folded into the convolution.
struct PlainViTStemTensors {
  /// By our name.
  private(set) var found: [String: ModelCheckpoint.Source] = [:]
  /// The checkpoint's names of what is read.
  private(set) var used: Set<String> = []
  /// Empty where there is no such stem.
  private(set) var layers: [PlainViTConfig.StemLayer] = []

  /// PyTorch's default, which timm's norms have.
  private static let epsilon: Float = 1e-5

  /// Far above any in use; the product of all is the side of a patch.
  private static let maximumKernel = 16

  /// - Parameter prefix: what stands before the tower's names.
  /// - Throws: `ModelError` naming a tensor that is missing or has another shape.
  init(_ names: [CheckpointFacts.Name], prefix: String) throws(ModelError) {
    let scope = prefix + PlainViTNaming.stem
    var shapes: [String: [Int]] = [:]
    for (name, shape) in names {
      if let inner = name.dropping(scope) { shapes[inner] = shape }
    }
    func vector(_ name: String, _ count: Int) throws(ModelError) -> String {
      guard let shape = shapes[name] else { throw ModelError(.missingTensor(scope + name)) }
      guard shape == [count] else {
        throw ModelError(.shape(scope + name, found: shape, expected: [count]))
      }
      return scope + name
    }
    var inputs = 3
    for index in 0..<8 {
      guard let kernel = shapes["\(index).conv.weight"] else { break }
      guard kernel.count == 4, kernel[1] == inputs, kernel[2] == kernel[3],
        (1...Self.maximumKernel).contains(kernel[2]), kernel[0] > 0
      else {
        throw ModelError(
          .shape(
            scope + "\(index).conv.weight", found: kernel, expected: [-1, inputs, -1, -1]))
      }
      let (outputs, module) = (kernel[0], scope + "\(index).conv")
      let ours = "embeddings.stem.\(index)."
      if shapes["\(index).bn.weight"] == nil {
        let bias = try vector("\(index).conv.bias", outputs)
        found[ours + "weight"] = .init(original: module + ".weight", shape: kernel)
        found[ours + "bias"] = .init(original: bias, shape: [outputs])
        used.formUnion([module + ".weight", bias])
      } else {
        let branch = TensorFold.Branch(
          kernel: module + ".weight",
          norm: TensorFold.Norm(
            weight: try vector("\(index).bn.weight", outputs),
            bias: try vector("\(index).bn.bias", outputs),
            mean: try vector("\(index).bn.running_mean", outputs),
            variance: try vector("\(index).bn.running_var", outputs), epsilon: Self.epsilon))
        found[ours + "weight"] = .init(
          original: module + ".weight", shape: kernel, fold: TensorFold(.kernel, of: [branch]))
        found[ours + "bias"] = .init(
          original: module + ".weight", shape: [outputs], fold: TensorFold(.bias, of: [branch]))
        used.formUnion(branch.names)
      }
      layers.append(.init(kernel: kernel[2], outputs: outputs))
      inputs = outputs
    }
  }
}
