import VLMFoundation
import VLMTensor

/// A MobileNetV4 or an EfficientViT found among a checkpoint's tensors.
struct MobileNetCheckpoint: FoundTower {
  let config: MobileNetConfig
  let tensors: [String: ModelCheckpoint.Source]
  private(set) var unused: [String] = []
  private(set) var unexpected: [String] = []
  private(set) var notes: [Note] = []

  /// - Parameters:
  ///   - names: every tensor with its shape.
  ///   - description: `config.json`, if there.
  /// - Returns: nil when there is no such network.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  init?(
    _ names: [CheckpointFacts.Name], _ description: JSONValue?
  ) throws(ModelError) {
    guard let naming = MobileNetNaming(Set(names.map(\.name))) else { return nil }
    let facts = try MobileNetDescription(description, naming)
    if let name = facts.timm.name, !name.hasPrefix(naming.prefix) { return nil }
    let stored = try ConvolutionTensors(names.map { ($0.name, $0) })
    var layers: MobileNetLayers
    var config: MobileNetConfig
    let isStated = facts.timm.name != nil
    switch naming {
    case .mobileNetV4:
      let activation = facts.activation ?? Self.assumedActivation(names)
      layers = MobileNetLayers(
        stored, activation, epsilon: facts.epsilon ?? 1e-5, isStated: isStated)
      layers.smoothing = facts.smoothing
      config = try layers.mobileNetV4()
      if facts.activation == nil {
        notes.append(
          Note(
            "the description does not say which MobileNetV4 it is: assuming "
              + (activation == .gelu
                ? "GELUs, as in hybrid_large" : "ReLUs, as in all but hybrid_large")
              + ", and no anti-aliasing (…_aa_…, …_blur_…), which has no weights"))
      }
    case .efficientViT:
      // The large ones have dense convolutions in their stem or their first stage.
      let isLarge = ["stem.res0.main.conv1.", "stages.0.blocks.0.main.spatial_conv."].contains {
        stored.hasModule(String($0.dropLast()))
      }
      layers = MobileNetLayers(
        stored, isLarge ? .geluTanh : .hardSwish,
        epsilon: facts.epsilon ?? (isLarge ? 1e-7 : 1e-5), isStated: isStated)
      config = try layers.efficientViT()
    }
    try config.validate()
    let classes = config.isClassifier ? config.head.outputs(inputs: config.pooledChannels) : 0
    try facts.timm.checkClasses(classes)
    if naming == .efficientViT {
      try facts.check(widths: layers.widths, dimension: layers.dimension)
    }
    self.config = config
    tensors = layers.tensors.found
    notes += layers.tensors.notes
    for name in layers.tensors.unread {
      unused.append(name.name)
      if !HeadModule.isInert(name) { unexpected.append(name.name) }
    }
  }

  /// The large hybrid alone has eight heads.
  private static func assumedActivation(_ names: [CheckpointFacts.Name]) -> Activation {
    let shapes = Dictionary(names.map { ($0.name, $0.shape) }) { first, _ in first }
    for (name, shape) in names where name.hasSuffix(".attn.query.proj.weight") {
      let key = name.dropLast("query.proj.weight".count) + "key.proj.weight"
      guard let width = shapes[String(key)]?.first, let all = shape.first, width > 0 else {
        continue
      }
      if all / width == 8 { return .gelu }
    }
    return .relu
  }
}
