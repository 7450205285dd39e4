import VLMFoundation
import VLMTensor

/// transformers' `CLIPModel`, both towers with their projections, recognised by its tensors' names.
enum CLIPModelCheckpoint {
  /// The model that the tensors make up; nil when they lack one of its parts.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    var text: [String: ModelCheckpoint.Source] = [:]
    var others: [CheckpointFacts.Name] = []
    for (name, shape) in facts.names {
      guard let ours = canonical(name) else {
        others.append((name, shape))
        continue
      }
      let stated = ours == "logit_scale" && shape.isEmpty ? [1] : shape
      text[ours] = ModelCheckpoint.Source(original: name, shape: stated)
    }
    let parts = ["logit_scale", "text.tokens.weight", "text.norm.weight", "text.projection"]
    guard parts.allSatisfy({ text[$0] != nil }),
      others.contains(where: { $0.name == ViTNaming.projection }),
      let image = try ViTCheckpoint(
        names: others, description: facts.description,
        ViTCheckpoint.Selection(feature: .pooled))
    else { return nil }
    let (textConfig, textNotes) = try textConfig(text.mapValues(\.shape), facts.description)
    let config = CLIPConfig(image: image.config, text: textConfig)
    if let projection = image.config.projection {
      try ConfigFields(facts.description ?? .null, path: "config.json")
        .check("projection_dim", is: projection)
    }
    try config.validate()
    var tensors = text
    for (name, source) in image.tensors { tensors["image.\(name)"] = source }
    // Positions 0, 1, 2 …, which older files store.
    let unused = image.unused.filter { !$0.hasSuffix(".embeddings.position_ids") }
    var model = ModelCheckpoint(
      description: ModelDescription(CLIPFamily.self, config), naming: "hugging-face",
      tensors: tensors, unused: unused,
      notes: facts.description == nil ? [ViTCheckpoint.guessed] : image.notes + textNotes)
    let left = Set(image.unused)
    model.unexpected = others.filter { left.contains($0.name) && !HeadModule.isInert($0) }
      .map(\.name)
    return model
  }

  /// Our name for a tensor that is not the image tower's.
  static func canonical(_ name: String) -> String? {
    switch name {
    case "logit_scale": return name
    case "text_projection.weight": return "text.projection"
    default: break
    }
    guard let inner = name.dropping("text_model.") else { return nil }
    switch inner {
    case "embeddings.token_embedding.weight": return "text.tokens.weight"
    case "embeddings.position_embedding.weight": return "text.positions"
    case "final_layer_norm.weight": return "text.norm.weight"
    case "final_layer_norm.bias": return "text.norm.bias"
    default: break
    }
    let part = inner.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard part.count > 3, part[0] == "encoder", part[1] == "layers" else { return nil }
    return ViTNaming.layer(part[3...]).map { "text.layers.\(part[2]).\($0)" }
  }

  private static func textConfig(
    _ shapes: [String: [Int]], _ description: JSONValue?
  ) throws(ModelError) -> (TextTowerConfig, notes: [Note]) {
    let stated = try CLIPDescription(description, "text_config")
    let facts = try TextTowerFacts(shapes, layout: .huggingFace)
    // Heads and columns of transformers' own default.
    let heads = try stated.heads(width: facts.width, usual: (heads: 8, width: 512))
    let (activation, epsilon) = (try stated.activation(), try stated.epsilon())
    var config = facts.config(heads: heads.count, activation: activation, epsilon: epsilon)
    try facts.check(stated.fields)
    // Files from before transformers 4.30 say 2 and mean the largest id, which CLIP's end is.
    let end = try stated.fields.statedInt("eos_token_id", 0...(1 << 24)) ?? 49_407
    let isExact = try stated.whole.statedString("model_type") == "metaclip_2"
    if isExact || end != 2, end != config.vocabulary - 1 {
      config.endToken = (0..<config.vocabulary).contains(end) ? end : nil
    }
    try config.validate()
    guard description != nil, let note = stated.assumption(heads: heads, activation, epsilon) else {
      return (config, [])
    }
    return (config, [note])
  }
}

/// What the shapes of a text tower's tensors tell.
struct TextTowerFacts {
  let width: Int
  let vocabulary: Int
  private let contextLength: Int
  private let hidden: Int
  private let layers: Int
  let embedding: Int
  private let hasBias: Bool
  private let layout: CLIPLayout

  /// - Parameter shapes: by our names, "text." before them.
  init(_ shapes: [String: [Int]], layout: CLIPLayout) throws(ModelError) {
    func shape(_ name: String) throws(ModelError) -> [Int] {
      guard let shape = shapes[name] else { throw ModelError(.missingTensor(name)) }
      guard shape.count == 2 else {
        throw ModelError(.shape(name, found: shape, expected: [-1, -1]))
      }
      return shape
    }
    let tokens = try shape("text.tokens.weight")
    (vocabulary, width) = (tokens[0], tokens[1])
    contextLength = try shape("text.positions")[0]
    hasBias = shapes["text.projection_bias"] != nil
    embedding = try shape("text.projection")[layout == .openCLIP && !hasBias ? 1 : 0]
    hidden = try shape("text.layers.0.mlp.fc1.weight")[0]
    var layers = 0
    for name in shapes.keys where name.hasPrefix("text.layers.") {
      let part = name.split(separator: ".", maxSplits: 3)
      guard part.count == 4, let index = Int(part[2]), (0..<1000).contains(index) else { continue }
      layers = max(layers, index + 1)
    }
    self.layers = layers
    self.layout = layout
  }

  /// Refuses a description in transformers' words that contradicts the tensors.
  func check(_ fields: ConfigFields) throws(ModelError) {
    for (key, count) in [
      ("hidden_size", width), ("num_hidden_layers", layers), ("intermediate_size", hidden),
      ("vocab_size", vocabulary), ("max_position_embeddings", contextLength),
    ] {
      try fields.check(key, is: count)
    }
  }

  /// - Parameter epsilon: nil for the usual one.
  func config(heads: Int, activation: Activation, epsilon: Float? = nil) -> TextTowerConfig {
    var config = TextTowerConfig(
      vocabulary: vocabulary, contextLength: contextLength,
      encoder: TransformerConfig(
        width: width, layers: layers, heads: heads, hidden: hidden, activation: activation,
        epsilon: epsilon ?? TransformerConfig.defaultEpsilon),
      embedding: embedding)
    config.layout = layout
    config.hasProjectionBias = hasBias
    return config
  }
}
