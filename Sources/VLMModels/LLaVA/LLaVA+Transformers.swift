import VLMFoundation
import VLMTensor

/// A LLaVA as transformers' own `LlavaForConditionalGeneration`, `LlavaNextForConditionalGeneration` or
/// `LlavaOnevisionForConditionalGeneration` stores it: other names, and a description of nested objects
/// that leaves out what is its classes' default.
struct TransformersLLaVA {
  /// The same checkpoint as upstream's code would have stored it.
  let facts: CheckpointFacts
  /// The checkpoint's names, by upstream's.
  private let originals: [String: String]
  /// What a person should know of what the description leaves out, one line each.
  private let notes: [Note]

  /// - Returns: nil when the tensors are not of this layout.
  /// - Throws: `ModelError` when the description is missing, or asks for what these do not do.
  init?(_ facts: CheckpointFacts) throws(ModelError) {
    guard facts.names.contains(where: { $0.name.hasSuffix(Self.projector + "linear_1.weight") })
    else { return nil }
    let fields = try ConfigFields(stated: facts.description, path: "config.json")
    guard let json = facts.description, let texts = try fields.statedObject("text_config"),
      let text = texts.value.objectValue, let tower = try fields.statedObject("vision_config")
    else {
      throw ModelError(
        .configuration(
          field: "config.json", found: "no text_config and vision_config",
          expected: "both, as LlavaForConditionalGeneration has them"))
    }
    let vision = tower.value
    let kind = try Kind(fields)
    try fields.check(kind.keys)
    try Self.check(fields, "projector_hidden_act", ["gelu"])
    try Self.check(tower, "model_type", Registry.towerTypes)
    var originals: [String: String] = [:]
    var names: [CheckpointFacts.Name] = []
    for (name, shape) in facts.names {
      let renamed = Self.upstreamName(name)
      if let other = originals.updateValue(name, forKey: renamed) {
        throw ModelError(
          .configuration(
            field: "tensor '\(renamed)'", found: "'\(other)' and '\(name)'",
            expected: "one of them"))
      }
      names.append((renamed, shape))
    }
    self.originals = originals
    var description = Self.description(json, text)
    notes = try Self.notes(fields, texts, kind)
    try kind.checkFeatures(fields)
    try fields.checkPictureTokens(names)
    description.set("mm_vision_select_layer", try Self.layer(fields, kind))
    description.set("mm_vision_select_feature", try Self.feature(fields, kind))
    description.set(
      "vision_feature_select_strategy",
      fields.has("vision_feature_select_strategy")
        ? json["vision_feature_select_strategy"] ?? .null : .string(kind.strategy))
    try kind.addTiles(to: &description, fields)
    if let bias = try fields.statedBool(Self.biasKey) {
      description.set(Self.biasKey, .bool(bias))
    }
    description.set("tie_word_embeddings", .bool(originals["lm_head.weight"] == nil))
    self.facts = CheckpointFacts(
      names: names, description: .object(description), towerDescription: vision,
      towerPlace: "vision_config")
  }

  /// `checkpoint`, which was recognised from `facts`, with the names that the file has.
  func restoringNames(of checkpoint: ModelCheckpoint) -> ModelCheckpoint {
    checkpoint.renamed(originals, naming: "hugging-face", notes: notes)
  }

  // MARK: - Names

  private static let projector = "multi_modal_projector."
  /// Whether the projector's layers have a bias; true where it is not stated.
  static let biasKey = "multimodal_projector_bias"

  /// Before transformers 4.52 the language model is a `LlamaForCausalLM` of its own; since then
  /// everything but the head is part of one model. Files saved by 5 have some of both.
  private static let prefixes = [
    ("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."),
    ("model.language_model.model.", "model."), ("model.language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."), ("vision_tower.", "model.vision_tower.vision_tower."),
    ("model.vision_tower.", "model.vision_tower.vision_tower."),
    (projector + "linear_1.", "model.mm_projector.0."),
    (projector + "linear_2.", "model.mm_projector.2."),
    ("model." + projector + "linear_1.", "model.mm_projector.0."),
    ("model." + projector + "linear_2.", "model.mm_projector.2."),
  ]

  private static func upstreamName(_ name: String) -> String {
    for (theirs, upstream) in prefixes {
      if let rest = name.dropping(theirs) { return upstream + rest }
    }
    return name
  }

  // MARK: - Description

  /// What the classes of the language models take where `text_config` is silent; transformers writes
  /// only what differs.
  private static let defaults: [String: [(String, JSONValue)]] = [
    "llama": [
      ("model_type", "llama"), ("vocab_size", 32_000), ("hidden_size", 4096),
      ("intermediate_size", 11_008), ("num_hidden_layers", 32), ("num_attention_heads", 32),
      ("max_position_embeddings", 2048), ("rms_norm_eps", 1e-6), ("eos_token_id", 2),
    ],
    "mistral": [
      ("vocab_size", 32_000), ("hidden_size", 4096), ("intermediate_size", 14_336),
      ("num_hidden_layers", 32), ("num_attention_heads", 32), ("num_key_value_heads", 8),
      ("max_position_embeddings", 131_072), ("rms_norm_eps", 1e-6), ("eos_token_id", 2),
    ],
    "qwen2": [
      ("vocab_size", 151_936), ("hidden_size", 4096), ("intermediate_size", 22_016),
      ("num_hidden_layers", 32), ("num_attention_heads", 32), ("num_key_value_heads", 32),
      ("max_position_embeddings", 32_768), ("rms_norm_eps", 1e-6),
    ],
  ]

  private static func description(_ json: JSONValue, _ text: JSONObject) -> JSONObject {
    var result = JSONObject()
    for member in text.members where !member.value.isNull { result.set(member.key, member.value) }
    for (key, value) in defaults[text["model_type"]?.stringValue ?? "llama"] ?? [] {
      _ = result.insert(key, value)
    }
    for key in ["transformers_version", "image_aspect_ratio"] {
      if let value = json[key] { result.set(key, value) }
    }
    result.set("mm_projector_type", "mlp2x_gelu")
    return result
  }

  /// What is taken where the description is silent of what no tensor tells.
  private static func notes(
    _ fields: ConfigFields, _ text: ConfigFields, _ kind: Kind
  ) throws(ModelError) -> [Note] {
    var values: [String: JSONValue] = [:]
    for (key, value) in defaults["llama"] ?? [] { values[key] = value }
    func value(_ key: String) -> String { values[key]?.serialized() ?? "" }
    let language = text.assumption(
      isTyped: text.isTyped,
      [
        "num_attention_heads": "\(value("num_attention_heads")) heads",
        "rms_norm_eps": "an epsilon of \(value("rms_norm_eps"))",
        "max_position_embeddings": "\(value("max_position_embeddings")) positions",
      ], "transformers' defaults of a LLaMA")
    // Of the whole, which its class names.
    let layer: Note? =
      fields.isTyped || fields.has(layerKey)
      ? nil
      : "config.json does not state \(layerKey): assuming \(kind.layer), as in the published models"
    return [language, layer].compactMap { $0 }
  }

  static let layerKey = "vision_feature_layer"

  /// One hidden state, or several that are read side by side.
  private static func layer(
    _ fields: ConfigFields, _ kind: Kind
  ) throws(ModelError) -> JSONValue {
    let key = layerKey
    guard let stated = fields.value[key], !stated.isNull else { return .int(kind.layer) }
    let layers = (stated.arrayValue ?? [stated]).map(\.wholeValue)
    let whole = layers.compactMap { $0 }
    guard let first = whole.first, whole.count == layers.count else {
      throw fields.refusal(
        key, found: stated.serialized(), expected: "an integer, or a list of integers")
    }
    return whole.count == 1 ? .int(first) : .array(whole.map { .int($0) })
  }

  private static func feature(
    _ fields: ConfigFields, _ kind: Kind
  ) throws(ModelError) -> JSONValue {
    let key = "vision_feature_select_strategy"
    try check(fields, key, ["default", "full"])
    return (fields.value[key]?.stringValue ?? kind.strategy) == "full" ? "cls_patch" : "patch"
  }

  static func check(
    _ fields: ConfigFields, _ key: String, _ known: [String]
  ) throws(ModelError) {
    guard let stated = fields.value[key], !stated.isNull else { return }
    guard let text = stated.stringValue, known.contains(text) else {
      throw fields.refusal(
        key, found: stated.serialized(),
        expected: known.map { "\"\($0)\"" }.joined(separator: " or "))
    }
  }
}

extension ConfigFields {
  /// Refuses tokens that stand for pictures and have no row in the table of embeddings: no prompt
  /// could have them; and two names of one that contradict each other.
  ///
  /// - Parameter names: the model's tensors.
  func checkPictureTokens(_ names: [CheckpointFacts.Name]) throws(ModelError) {
    let table = names.first { name in
      name.name.hasSuffix("embed_tokens.weight") && name.shape.count == 2
    }
    for kind in ["image", "video"] {
      let (older, newer) = ("\(kind)_token_index", "\(kind)_token_id")
      guard let first = try statedInt(older), let second = try statedInt(newer), first != second
      else { continue }
      throw refusal(
        newer, found: "\(second)", expected: "\(first), as \(older) has it, or one of them alone")
    }
    guard let rows = table?.shape[0] else { return }
    for key in ["image_token_index", "image_token_id", "video_token_index", "video_token_id"] {
      guard let id = try statedInt(key), !(0..<rows).contains(id) else { continue }
      throw refusal(
        key, found: "\(id)", expected: "0 to \(rows - 1), the rows of the table of embeddings")
    }
  }
}
