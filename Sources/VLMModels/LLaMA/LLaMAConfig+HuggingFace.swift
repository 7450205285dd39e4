import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

extension LLaMAConfig {
  /// `model_type` and `architectures` of `config.json` whose language model is one of `Decoders.all`.
  ///
  /// The LLaVAs keep the language model's fields beside their own.
  package static let types = Decoders.all.reduce(into: Set<String>()) {
    $0.formUnion($1.stated.types)
  }
  package static let architectures = Decoders.all.reduce(into: Set<String>()) {
    $0.formUnion($1.stated.classes)
  }

  /// Whether `description` is the `config.json` of a language model that this family runs.
  package static func describes(_ description: JSONValue) -> Bool {
    let names = (description["architectures"]?.arrayValue ?? []).compactMap(\.stringValue)
    if names.contains(where: architectures.contains) { return true }
    return names.isEmpty
      && types.contains(description["model_type"]?.stringValue ?? "")
      && description.has("hidden_size")
  }

  /// Reads transformers' `config.json`.
  ///
  /// - Throws: `ModelError` naming the field: another architecture, unsupported arithmetic, or a
  ///   missing number for which a guess would give plausible nonsense.
  package init(huggingFace json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "config.json")
    let architecture = try Decoders.stated(in: json)
    let usual = architecture.usual
    let activation = try fields.statedChoice(usual.activationKey, usual.activations)
    try fields.check(architecture.keys)
    let heads = try fields.int("num_attention_heads", 1...4096, default: usual.heads)
    let hidden = try fields.int("hidden_size", 1...TensorFormat.maximumInputs)
    let positions = try fields.int(
      "max_position_embeddings", 1...Self.maximumContext, default: usual.positions)
    // Vicuna's 16k models say only here how far their scaled positions reach.
    let extended = try fields.int("max_sequence_length", 1...Self.maximumContext, default: 1)
    let hasBias = try fields.bool("attention_bias", default: usual.attentionBias)
    let isShared = !fields.has("head_dim") && usual.headDimension == nil
    let rotation = try Self.rotation(fields, nested: usual.nestsRotation)
    self.init(
      vocabulary: try fields.int("vocab_size", 1...10_000_000, default: usual.vocabulary),
      hidden: hidden,
      layers: try fields.int("num_hidden_layers", 1...1000), heads: heads,
      keyValueHeads: try fields.int(
        "num_key_value_heads", 1...4096, default: usual.keyValueHeads ?? heads),
      headDimension: try fields.int(
        "head_dim", 2...1024, default: usual.headDimension ?? max(1, hidden / heads)),
      feedForward: try fields.int("intermediate_size", 1...TensorFormat.maximumInputs),
      epsilon: try Self.epsilon(fields, usual: usual.epsilon),
      ropeBase: try Self.base(fields, rotation, usual: usual.ropeBase),
      tiedEmbeddings: try fields.bool("tie_word_embeddings", default: usual.tiesHead),
      attentionBias: hasBias, outputBias: hasBias && usual.hasOutputBias,
      feedForwardBias: try fields.bool("mlp_bias", default: false),
      contextLength: max(positions, extended))
    if isShared, hidden % heads != 0 {
      throw fields.unexpected(
        "num_attention_heads", "\(heads)", expected: "a divisor of hidden_size, \(hidden)")
    }
    traits.activation = activation ?? usual.activation
    if !architecture.scalesByItself, let rotation {
      ropeScaling = try Self.scaling(rotation, positions: positions)
    }
    try architecture.adapt(&self, to: fields)
    try validate()
  }

  /// The object about the rotation, which transformers 4 and 5 call differently; the older name wins
  /// where there are both.
  ///
  /// - Parameter isNested: whether transformers 5 has an object for each type of layer in it.
  static func rotation(
    _ fields: ConfigFields, nested isNested: Bool = false
  ) throws(ModelError) -> ConfigFields? {
    for key in ["rope_scaling", "rope_parameters"] where fields.has(key) {
      let object = try fields.object(key)
      if object.isEmpty { continue }
      guard isNested, object.has("full_attention") || object.has("sliding_attention") else {
        // Of such a class transformers 5 reads what stands in the inner objects alone.
        if isNested, key == "rope_parameters" { continue }
        return object
      }
      return object.has("full_attention") ? try object.object("full_attention") : nil
    }
    return nil
  }

  private static func epsilon(
    _ fields: ConfigFields, usual: Double?
  ) throws(ModelError) -> Float {
    if let usual, !fields.has("rms_norm_eps") { return Float(usual) }
    return try fields.epsilon("rms_norm_eps")
  }

  private static func base(
    _ fields: ConfigFields, _ inner: ConfigFields?, usual: Double
  ) throws(ModelError) -> Double {
    let outer = try fields.double("rope_theta", default: usual)
    let base = try inner?.double("rope_theta", default: outer) ?? outer
    guard base > 1, base <= 1e15 else {
      throw (inner?.has("rope_theta") == true ? inner ?? fields : fields).refusal(
        "rope_theta", found: "\(base)", expected: "more than 1, at most 1e15")
    }
    return base
  }

  private static func scaling(
    _ scaling: ConfigFields, positions: Int
  ) throws(ModelError) -> RotaryScaling {
    let name = scaling.has("rope_type") ? "rope_type" : "type"
    let original = try scaling.int(
      "original_max_position_embeddings", 1...Self.maximumContext, default: positions)
    // An object of transformers 5 may say nothing but the base.
    let kind = scaling.has(name) ? try scaling.string(name) : "default"
    let kinds = ["default", "none", "linear", "dynamic", "llama3", "yarn"]
    guard kinds.contains(kind) else {
      throw scaling.unexpected(name, kind, expected: "default, linear, dynamic, llama3 or yarn")
    }
    try scaling.check(.rotation)
    switch kind {
    case "linear": return .linear(factor: try scaling.double("factor"))
    case "dynamic":
      return .dynamic(factor: try scaling.double("factor"), original: positions)
    case "llama3":
      return .llama3(
        factor: try scaling.double("factor"),
        lowFrequency: try scaling.double("low_freq_factor"),
        highFrequency: try scaling.double("high_freq_factor"), original: original)
    case "yarn":
      let factor = try scaling.double("factor")
      func magnitude(_ scale: Double) -> Double {
        factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1
      }
      var attention = magnitude(1)
      if scaling.has("mscale"), scaling.has("mscale_all_dim") {
        attention = magnitude(try scaling.double("mscale"))
        attention /= magnitude(try scaling.double("mscale_all_dim"))
      }
      return .yarn(
        RotaryScaling.YaRN(
          factor: factor, original: original,
          betaFast: try scaling.double("beta_fast", default: 32),
          betaSlow: try scaling.double("beta_slow", default: 1),
          attention: try scaling.double("attention_factor", default: attention),
          truncate: try scaling.bool("truncate", default: true)))
    default: return .none
    }
  }
}

extension JSONValue {
  fileprivate func has(_ key: String) -> Bool { self[key].map { !$0.isNull } ?? false }
}
