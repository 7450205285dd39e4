import VLMFoundation
import VLMTensor

/// A LLaVA-1.5 as transformers' own `LlavaForConditionalGeneration` stores it: other names, and a
/// description of nested objects that leaves out what is its classes' default.
package struct TransformersLLaVA {
  /// The same checkpoint as upstream's code would have stored it.
  package let facts: CheckpointFacts
  /// The checkpoint's names, by upstream's.
  private let originals: [String: String]

  /// - Returns: nil when the tensors are not of this layout.
  /// - Throws: `ModelError` when the description is missing, or asks for what LLaVA-1.5 does not do.
  package init?(_ facts: CheckpointFacts) throws(ModelError) {
    guard facts.names.contains(where: { $0.name.hasSuffix(Self.projector + "linear_1.weight") })
    else { return nil }
    guard let json = facts.description, let text = json["text_config"]?.objectValue,
      let vision = json["vision_config"], vision.objectValue != nil
    else {
      throw ModelError(
        .configuration(
          field: "config.json", found: "no text_config and vision_config",
          expected: "both, as LlavaForConditionalGeneration has them"))
    }
    try Self.check(json, "model_type", ["llava"])
    try ConfigKeys.llava.check(json, "config.json")
    try Self.check(json, "projector_hidden_act", ["gelu"])
    try Self.check(vision, "model_type", Registry.towerTypes)
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
    description.set("mm_vision_select_layer", try Self.layer(json))
    description.set("mm_vision_select_feature", try Self.feature(json))
    description.set(
      "vision_feature_select_strategy", json["vision_feature_select_strategy"] ?? "default")
    description.set("tie_word_embeddings", .bool(originals["lm_head.weight"] == nil))
    self.facts = CheckpointFacts(
      names: names, description: .object(description), towerDescription: vision)
  }

  /// `checkpoint`, which was recognised from `facts`, with the names that the file has.
  package func restoringNames(of checkpoint: ModelCheckpoint) -> ModelCheckpoint {
    checkpoint.renamed(originals, naming: "hugging-face")
  }

  // MARK: - Names

  private static let projector = "multi_modal_projector."

  /// Before transformers 4.52 the language model is a `LlamaForCausalLM` of its own; since then
  /// everything but the head is part of one model.
  private static let prefixes = [
    ("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."),
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

  /// What `LlamaConfig` takes where `text_config` is silent; transformers writes only what differs.
  private static let defaults: [(String, JSONValue)] = [
    ("model_type", "llama"), ("vocab_size", 32_000), ("hidden_size", 4096),
    ("intermediate_size", 11_008), ("num_hidden_layers", 32), ("num_attention_heads", 32),
    ("max_position_embeddings", 2048), ("rms_norm_eps", 1e-6), ("eos_token_id", 2),
  ]

  private static func description(_ json: JSONValue, _ text: JSONObject) -> JSONObject {
    var result = JSONObject()
    for member in text.members where !member.value.isNull { result.set(member.key, member.value) }
    if text["model_type"]?.stringValue ?? "llama" == "llama" {
      for (key, value) in defaults { _ = result.insert(key, value) }
    }
    for key in ["transformers_version", "image_aspect_ratio"] {
      if let value = json[key] { result.set(key, value) }
    }
    result.set("mm_projector_type", "mlp2x_gelu")
    return result
  }

  private static func layer(_ json: JSONValue) throws(ModelError) -> JSONValue {
    guard let stated = json["vision_feature_layer"], !stated.isNull else { return -2 }
    let only = stated.arrayValue.flatMap { $0.count == 1 ? $0[0] : nil } ?? stated
    guard only.intValue != nil else {
      throw ModelError(
        .configuration(
          field: "vision_feature_layer", found: stated.serialized(), expected: "an integer"))
    }
    return only
  }

  private static func feature(_ json: JSONValue) throws(ModelError) -> JSONValue {
    try check(json, "vision_feature_select_strategy", ["default", "full"])
    return json["vision_feature_select_strategy"]?.stringValue == "full" ? "cls_patch" : "patch"
  }

  private static func check(
    _ json: JSONValue, _ field: String, _ known: [String]
  ) throws(ModelError) {
    guard let stated = json[field], !stated.isNull else { return }
    guard let text = stated.stringValue, known.contains(text) else {
      throw ModelError(
        .configuration(
          field: field, found: stated.serialized(),
          expected: known.map { "\"\($0)\"" }.joined(separator: " or ")))
    }
  }
}
