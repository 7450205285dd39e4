import VLMFoundation
import VLMTensor

/// A SigLIP with both towers: transformers' `SiglipModel` and `Siglip2Model`, and open_clip's
/// `CustomTextCLIP` around timm's SigLIP. The model is a pair of towers as a CLIP is, whose logits have a
/// bias.
///
/// The tower for texts has no mask: what pads a text is seen, and the last position's feature is the
/// text's.
enum SigLIPModelCheckpoint {
  /// Tokens to which transformers' processors and its pipeline pad texts.
  private static let paddedLength = 64

  /// The pair that an image tower is a part of; nil where no tower for texts stands beside it, or the
  /// image tower classifies.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  static func recognise(
    _ image: SigLIPCheckpoint, _ description: JSONValue?
  ) throws(ModelError) -> ModelCheckpoint? {
    var text: [String: ModelCheckpoint.Source] = [:]
    var others: [CheckpointFacts.Name] = []
    for (name, shape) in image.texts {
      guard let ours = canonical(name, image.naming) else {
        others.append((name, shape))
        continue
      }
      let isScalar = ours.hasPrefix("logit_") && shape.isEmpty
      try text.add(.init(original: name, shape: isScalar ? [1] : shape), as: ours)
    }
    guard text["text.tokens.weight"] != nil, image.config.feature.isVector,
      image.config.classifier.isEmpty
    else { return nil }
    do throws(ModelError) {
      var tower = image.config
      tower.isJoint = true
      let (textConfig, note) = try textConfig(
        text.mapValues(\.shape), image.naming, description)
      var config = CLIPConfig(image: tower, text: textConfig)
      config.hasBias = true
      try config.validate()
      for name in ["logit_scale", "logit_bias", "text.norm.weight"] where text[name] == nil {
        throw ModelError(.missingTensor(name))
      }
      var tensors = text
      for (name, source) in image.tensors { tensors["image.\(name)"] = source }
      var model = ModelCheckpoint(
        description: ModelDescription(CLIPFamily.self, config),
        naming: image.naming == .huggingFace ? "hugging-face" : "open_clip", tensors: tensors,
        // Positions 0, 1, 2 …, which older files store.
        unused: image.unused
          + others.map(\.name).filter { !$0.hasSuffix(".embeddings.position_ids") },
        notes: image.notes + (note.map { [$0] } ?? []))
      model.unexpected =
        image.unexpected + others.filter { !HeadModule.isInert($0) }.map(\.name)
      return model
    } catch {
      throw error.beside(text)
    }
  }

  /// Our name for a tensor that is not the image tower's.
  private static func canonical(_ name: String, _ naming: SigLIPNaming) -> String? {
    switch naming {
    case .timm: return OpenCLIPCheckpoint.canonical(name)
    case .huggingFace: break
    }
    switch name {
    case "logit_bias": return name
    case "text_model.head.weight": return "text.projection"
    case "text_model.head.bias": return "text.projection_bias"
    // CLIP's alone.
    case "text_projection.weight": return nil
    default: return CLIPModelCheckpoint.canonical(name)
    }
  }

  private static func textConfig(
    _ shapes: [String: [Int]], _ naming: SigLIPNaming, _ description: JSONValue?
  ) throws(ModelError) -> (TextTowerConfig, Note?) {
    switch naming {
    case .timm: return (try OpenCLIPCheckpoint.textConfig(shapes, description), nil)
    case .huggingFace: break
    }
    let whole = try ConfigFields(stated: description, path: "config.json")
    let fields =
      try whole.statedObject("text_config") ?? ConfigFields(.null, path: "text_config")
    try fields.check(.sigLIPText)
    if let type = try fields.statedString("model_type"), !types.contains(type) {
      throw fields.refusal(
        "model_type", found: "'\(type)'", expected: Registry.alternatives(types))
    }
    let facts = try TextTowerFacts(shapes, layout: .huggingFace)
    try facts.check(fields)
    try fields.check("projection_size", is: facts.embedding)
    guard shapes["text.projection_bias"] != nil else {
      throw ModelError(.missingTensor("text.projection_bias"))
    }
    let guess = SigLIPDescription.heads(ofWidth: facts.width)
    let heads =
      description == nil
      ? (count: guess, isUsual: false)
      : try fields.heads(width: facts.width, usual: (heads: 12, width: 768), guess: guess)
    let activation = try fields.statedChoice("hidden_act", SigLIPDescription.activations)
    let epsilon = try fields.statedEpsilon("layer_norm_eps")
    var config = facts.config(
      heads: heads.count, activation: activation ?? .geluTanh,
      epsilon: epsilon ?? SigLIPDescription.epsilon)
    (config.isCausal, config.pooling) = (false, .last)
    if config.contextLength > paddedLength { config.paddedLength = paddedLength }
    try config.validate()
    guard description != nil else { return (config, nil) }
    let note = fields.assumption(
      isTyped: whole.isTyped || fields.isTyped,
      [
        "num_attention_heads": counted(heads.count, "head"),
        "hidden_act": "GELU by tanh",
        "layer_norm_eps": "an epsilon of \(SigLIPDescription.epsilon.shortestDouble)",
      ], heads.isUsual ? "transformers' defaults" : SigLIPDescription.origin(ofWidth: facts.width))
    return (config, note)
  }

  private static let types = ["siglip_text_model", "siglip2_text_model"]
}

extension ConfigKeys {
  /// `SiglipTextConfig` and `Siglip2TextConfig`.
  static let sigLIPText = ConfigKeys(
    free: [
      "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
      "num_attention_heads", "max_position_embeddings", "hidden_act", "layer_norm_eps",
      "projection_size",
    ], neutral: [:])
}
