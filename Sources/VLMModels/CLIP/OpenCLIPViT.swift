import VLMFoundation
import VLMTensor

/// open_clip's own vision transformer, which OpenAI's files name alike, found among a checkpoint's
/// tensors.
struct OpenCLIPViT {
  let config: ViTConfig
  /// By our name.
  let tensors: [String: ModelCheckpoint.Source]
  let unused: [String]
  /// Those of them that are named as the tower's own and that nothing explains.
  let unexpected: [String]
  /// What a person should know, one line each.
  let notes: [Note]

  /// - Parameters:
  ///   - names: tensors that are not the text tower's.
  ///   - description: `open_clip_config.json`, if there.
  /// - Returns: nil when there is no such tower.
  /// - Throws: `ModelError` when the tensors contradict each other, or for an option that other
  ///   arithmetic follows from.
  init?(_ names: [CheckpointFacts.Name], _ description: JSONValue?) throws(ModelError) {
    var tensors: [String: ModelCheckpoint.Source] = [:]
    var unused: [String] = []
    var unexpected: [String] = []
    for (name, shape) in names {
      if let ours = name.dropping("visual.").flatMap(Self.canonical) {
        tensors[ours] = ModelCheckpoint.Source(original: name, shape: shape)
      } else {
        unused.append(name)
        if name.hasPrefix("visual."), !HeadModule.isInert((name, shape)) { unexpected.append(name) }
      }
    }
    guard tensors["embeddings.patch.weight"] != nil, tensors["embeddings.class"] != nil,
      tensors["layers.0.attention.qkv.weight"] != nil
    else { return nil }
    let model = try OpenCLIPDescription(description)
    try model.vision?.check(.openCLIPVision)
    let quick = try model.quickGELU()
    let isQuick = quick ?? Self.isOpenAI(unused)
    var stated = JSONObject()
    stated.set("hidden_act", isQuick ? "quick_gelu" : "gelu")
    let width = tensors["embeddings.class"]?.shape.first ?? 0
    if let head = try model.vision?.statedInt("head_width", 1...TensorFormat.maximumInputs) {
      stated.set("num_attention_heads", .int(width / head))
    }
    let geometry = ViTGeometry(
      shapes: tensors.mapValues(\.shape), description: .object(stated), place: "vision_cfg")
    config = try geometry.config(feature: .pooled)
    try model.check(config)
    self.tensors = tensors
    self.unused = unused
    self.unexpected = unexpected
    let place =
      description == nil
      ? "no open_clip_config.json beside the weights" : "the description has no vision_cfg"
    var assumed = ["heads of 64"]
    if quick == nil { assumed.append("GELU; OpenAI's own models have quick GELU") }
    let isKnown = model.vision != nil || Self.isOpenAI(unused)
    notes = isKnown ? [] : [Note("\(place): assuming " + assumed.joined(separator: " and "))]
  }

  /// OpenAI's own archives hold these beside the weights; their models have quick GELU.
  static func isOpenAI(_ unused: [String]) -> Bool {
    ["input_resolution", "context_length", "vocab_size"].allSatisfy { unused.contains($0) }
  }

  /// Our name for `name`, which has lost "visual.".
  private static func canonical(_ name: String) -> String? {
    switch name {
    case "class_embedding": return "embeddings.class"
    case "positional_embedding": return "embeddings.position"
    case "conv1.weight": return "embeddings.patch.weight"
    case "ln_pre.weight": return "pre_norm.weight"
    case "ln_pre.bias": return "pre_norm.bias"
    case "ln_post.weight": return "post_norm.weight"
    case "ln_post.bias": return "post_norm.bias"
    case "proj": return "projection"
    default: break
    }
    guard let rest = name.dropping("transformer.resblocks.") else { return nil }
    let part = rest.split(separator: ".", maxSplits: 1)
    guard part.count == 2, let ours = OpenCLIPCheckpoint.layerNames[String(part[1])] else {
      return nil
    }
    return "layers.\(part[0]).\(ours)"
  }
}
