import VLMFoundation
import VLMTensor

/// What transformers' `config.json` of an `Idefics3ForConditionalGeneration` or a
/// `SmolVLMForConditionalGeneration` says: nested objects that leave out what is their classes' default.
struct SmolVLMDescription {
  /// As a checkpoint of the language model alone would describe it.
  let language: JSONValue
  /// Of the tower.
  let vision: ConfigFields
  /// `scale_factor`.
  let shuffle: Int
  /// What a person should know of what the description leaves out, one line each.
  let notes: [Note]

  /// What `LlamaConfig` takes where `text_config` is silent.
  private static let defaults: KeyValuePairs<String, JSONValue> = [
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 4096,
    "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "eos_token_id": 2,
  ]

  /// - Parameter hasHead: whether the tensors have a head beside the table of embeddings.
  /// - Throws: `ModelError` when there is no such description, or it asks for other arithmetic.
  init(_ json: JSONValue?, hasHead: Bool) throws(ModelError) {
    let fields = try ConfigFields(stated: json, path: "config.json")
    guard let texts = try fields.statedObject("text_config"),
      let text = texts.value.objectValue, let vision = try fields.statedObject("vision_config")
    else {
      throw ModelError(
        .configuration(
          field: "config.json", found: "no text_config and vision_config",
          expected: "both, as Idefics3ForConditionalGeneration has them"))
    }
    if let type = try fields.statedString("model_type"), !SmolVLMFamily.stated.types.contains(type)
    {
      throw fields.refusal(
        "model_type", found: "'\(type)'",
        expected: Registry.alternatives(SmolVLMFamily.stated.types.sorted()))
    }
    try fields.check(.smolVLM)
    try texts.check(.smolVLMText)
    try vision.check(.smolVLMVision)
    if let type = try vision.statedString("model_type"), !Self.towerTypes.contains(type) {
      throw vision.refusal(
        "model_type", found: "'\(type)'", expected: Registry.alternatives(Self.towerTypes))
    }
    self.vision = vision
    shuffle = try fields.statedInt("scale_factor", 1...16) ?? 2
    let isTied = try Self.isTied(fields, texts, hasHead: hasHead)
    language = .object(Self.language(text, fields.value, isTied: isTied))
    notes =
      [
        texts.assumption(
          isTyped: texts.isTyped || fields.isTyped,
          [
            "num_attention_heads": "32 heads", "rms_norm_eps": "an epsilon of 1e-06",
            "max_position_embeddings": "2048 positions",
          ], "transformers' defaults of a LLaMA")
      ].compactMap { $0 }
  }

  /// `model_type` of `vision_config`: of the published files, and of those that transformers writes.
  private static let towerTypes = ["idefics3", "idefics3_vision", "smolvlm", "smolvlm_vision"]

  /// The outer field decides, as it does in transformers 5; without a head among the tensors either.
  private static func isTied(
    _ fields: ConfigFields, _ text: ConfigFields, hasHead: Bool
  ) throws(ModelError) -> Bool {
    let key = "tie_word_embeddings"
    let outer = try fields.statedBool(key) ?? false
    let inner = try text.statedBool(key) ?? false
    return outer || inner && !hasHead
  }

  private static func language(
    _ text: JSONObject, _ whole: JSONValue, isTied: Bool
  ) -> JSONObject {
    var result = JSONObject()
    // The class of the language model while it was trained, which nobody has.
    for member in text.members where !member.value.isNull && member.key != "architectures" {
      result.set(member.key, member.value)
    }
    if text["model_type"]?.stringValue ?? "llama" == "llama" {
      for (key, value) in defaults { _ = result.insert(key, value) }
    }
    if let version = whole["transformers_version"] { result.set("transformers_version", version) }
    result.set("tie_word_embeddings", .bool(isTied))
    return result
  }
}

extension ConfigKeys {
  /// `Idefics3Config`, `SmolVLMConfig`.
  static let smolVLM = ConfigKeys(
    free: [
      "text_config", "vision_config", "scale_factor", "image_token_id", "image_seq_len",
      "tie_word_embeddings", "vocab_size", "pad_token_id",
    ],
    neutral: [:])

  /// What the published files have in `text_config` beside a LLaMA's fields; those are checked where
  /// they are read.
  static let smolVLMText = ConfigKeys(
    free: ConfigKeys.llama.free,
    neutral: ConfigKeys.llama.neutral.merging(["use_resampler": []]) { own, _ in own })

  /// `Idefics3VisionConfig`, `SmolVLMVisionConfig`.
  static let smolVLMVision = ConfigKeys(
    free: [
      "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
      "num_channels", "image_size", "patch_size", "hidden_act", "layer_norm_eps",
      // Of the code that trained it; its classes do not know them.
      "max_image_size", "size", "use_base_siglip",
    ],
    neutral: [:])
}
