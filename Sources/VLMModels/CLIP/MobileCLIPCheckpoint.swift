import VLMFoundation
import VLMTensor

/// A MobileCLIP S0, S1, S2 or B as Apple's own files have it (Vasu et al., "MobileCLIP: Fast Image-Text
/// Models through Multi-Modal Reinforced Training"). S0 reads texts with convolutions, too.
enum MobileCLIPCheckpoint {
  /// What `ModelCheckpoint.naming` says of such a file.
  static let naming = "apple"

  /// - Returns: nil for another model.
  /// - Throws: `ModelError` when the tensors contradict each other.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let names = try MobileCLIPNames(facts.names) else { return nil }
    let inner = CheckpointFacts(
      names: names.names, description: names.description, headActivation: facts.headActivation)
    guard var found = try OpenCLIPCheckpoint.recognise(inner) else { return nil }
    for (ours, source) in found.tensors where names.transposed.contains(source.original) {
      found.tensors[ours] = ModelCheckpoint.Source(
        original: source.original, shape: source.shape, rows: .transposed)
      guard let bias = names.zeroBias,
        let place = found.tensors.first(where: { $0.value.original == bias })
      else { continue }
      // No branch with a bias: all zeros.
      found.tensors[place.key] = ModelCheckpoint.Source(
        original: bias, shape: place.value.shape,
        fold: TensorFold(.bias, of: [TensorFold.Branch(kernel: source.original)]))
    }
    found = found.renamed(names.originals, naming: naming)
    return names.convolutions.isEmpty ? found : try adding(names.convolutions, to: found)
  }

  /// The same model with blocks of convolutions before and behind the layers for texts.
  private static func adding(
    _ blocks: [[(timm: String, stored: CheckpointFacts.Name)]], to model: ModelCheckpoint
  ) throws(ModelError) -> ModelCheckpoint {
    guard var config = model.description.config as? CLIPConfig else { return model }
    var sources = model.tensors
    var unread: [String] = []
    var convolution: TextTowerConfig.Convolution?
    for (place, block) in zip(TextTowerConfig.Convolution.places, blocks) {
      var tensors = try ConvolutionTensors(block)
      let kernel = try tensors.mixer("token_mixer", "mixer")
      try tensors.normed("mlp.conv", "mlp.conv")
      try tensors.matrix("mlp.fc1", "mlp.fc1")
      try tensors.matrix("mlp.fc2", "mlp.fc2")
      try tensors.take("layer_scale.gamma", "mlp.gamma", flattened: true)
      let hidden = try tensors.shape("mlp.fc1.weight", rank: 4)[0]
      // Where the two differ, the tensors of the second have other shapes than the model states.
      convolution = convolution ?? TextTowerConfig.Convolution(kernel: kernel[3], hidden: hidden)
      for (name, source) in tensors.found { sources["text.\(place).\(name)"] = source }
      unread += tensors.unread.filter { !HeadModule.isInert($0) }.map(\.name)
    }
    config.textTower.convolution = convolution
    try config.validate()
    var result = ModelCheckpoint(
      description: ModelDescription(CLIPFamily.self, config), naming: model.naming,
      tensors: sources, unused: model.unused + unread, unexpected: model.unexpected + unread,
      notes: model.notes)
    result.headFault = model.headFault
    result.hasOpenHead = model.hasOpenHead
    return result
  }
}
