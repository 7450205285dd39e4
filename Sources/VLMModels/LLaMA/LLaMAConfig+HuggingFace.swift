import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

extension LLaMAConfig {
  /// `model_type` and `architectures` of `config.json` whose language model is this one.
  ///
  /// The LLaVAs keep the language model's fields beside their own.
  package static let types = LLaMAFamily.stated.types.union(LLaVAFamily.stated.types)
  package static let architectures = LLaMAFamily.stated.classes.union(LLaVAFamily.upstreamClasses)

  /// Qwen 2's, and those of LLaVAs around it: biases of queries, keys and values alone, and a window
  /// that is used only where it is asked for.
  private static let qwenTypes: Set<String> = ["qwen2", "llava_qwen2"]

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
    try Self.checkArchitecture(json, fields)
    try fields.check(.llama)
    let heads = try fields.int("num_attention_heads", 1...4096)
    let hidden = try fields.int("hidden_size", 1...TensorFormat.maximumInputs)
    let isQwen = Self.qwenTypes.contains(json["model_type"]?.stringValue ?? "")
    let positions = try fields.int(
      "max_position_embeddings", 1...Self.maximumContext, default: 2048)
    // Vicuna's 16k models say only here how far their scaled positions reach.
    let extended = try fields.int("max_sequence_length", 1...Self.maximumContext, default: 1)
    var context = max(positions, extended)
    let window = try Self.slidingWindow(json, fields)
    if let window { context = min(context, window) }
    try Self.checkLayerTypes(json, fields, isCut: window != nil)
    let hasBias = try fields.bool("attention_bias", default: isQwen)
    self.init(
      vocabulary: try fields.int("vocab_size", 1...10_000_000), hidden: hidden,
      layers: try fields.int("num_hidden_layers", 1...1000), heads: heads,
      keyValueHeads: try fields.int("num_key_value_heads", 1...4096, default: heads),
      headDimension: try fields.int("head_dim", 2...1024, default: hidden / heads),
      feedForward: try fields.int("intermediate_size", 1...TensorFormat.maximumInputs),
      epsilon: try fields.epsilon("rms_norm_eps"),
      ropeBase: try Self.base(fields),
      ropeScaling: try Self.scaling(fields, positions: positions),
      tiedEmbeddings: try fields.bool("tie_word_embeddings", default: false),
      attentionBias: hasBias, outputBias: hasBias && !isQwen,
      feedForwardBias: try fields.bool("mlp_bias", default: false), contextLength: context)
    if !fields.has("head_dim"), hidden % heads != 0 {
      throw fields.unexpected(
        "num_attention_heads", "\(heads)", expected: "a divisor of hidden_size, \(hidden)")
    }
    try validate()
  }

  private static func checkArchitecture(
    _ json: JSONValue, _ fields: ConfigFields
  ) throws(ModelError) {
    let names = try fields.statedStrings("architectures") ?? []
    if let other = names.first(where: { !architectures.contains($0) }) {
      throw fields.unexpected(
        "architectures", other, expected: architectures.sorted().joined(separator: ", "))
    }
    if let type = try fields.statedString("model_type"), !types.contains(type) {
      throw fields.unexpected("model_type", type, expected: types.sorted().joined(separator: ", "))
    }
    // Two names of one function.
    if fields.has("hidden_act"), !["silu", "swish"].contains(try fields.string("hidden_act")) {
      throw fields.unexpected("hidden_act", try fields.string("hidden_act"), expected: "silu")
    }
  }

  /// Positions that a query sees at most; up to there it makes no difference.
  private static func slidingWindow(
    _ json: JSONValue, _ fields: ConfigFields
  ) throws(ModelError) -> Int? {
    let type = json["model_type"]?.stringValue
    // What the classes of transformers take where nothing is said.
    if json["sliding_window"] == nil, type == "mistral" { return 4096 }
    let isUsed = try fields.bool("use_sliding_window", default: !qwenTypes.contains(type ?? ""))
    guard fields.has("sliding_window"), isUsed else { return nil }
    return try fields.int("sliding_window", 1...Self.maximumContext)
  }

  /// - Parameter isCut: whether the context ends with the window, up to which a layer with one
  ///   computes what the others do.
  private static func checkLayerTypes(
    _ json: JSONValue, _ fields: ConfigFields, isCut: Bool
  ) throws(ModelError) {
    guard fields.has("layer_types") else { return }
    let known = ["full_attention"] + (isCut ? ["sliding_attention"] : [])
    let expected = known.joined(separator: " or ")
    guard let types = json["layer_types"]?.arrayValue else {
      throw fields.unexpected("layer_types", "no list", expected: expected)
    }
    for type in types where !known.contains(type.stringValue ?? "") {
      throw fields.unexpected(
        "layer_types", type.stringValue ?? type.serialized(), expected: expected)
    }
  }

  /// The object about the rotation, which transformers 4 and 5 call differently; the older name wins
  /// where there are both.
  private static func rotation(
    _ fields: ConfigFields
  ) throws(ModelError) -> ConfigFields? {
    for key in ["rope_scaling", "rope_parameters"] where fields.has(key) {
      let object = try fields.object(key)
      if !object.isEmpty { return object }
    }
    return nil
  }

  private static func base(_ fields: ConfigFields) throws(ModelError) -> Double {
    let outer = try fields.double("rope_theta", default: 10_000)
    let inner = try rotation(fields)
    let base = try inner?.double("rope_theta", default: outer) ?? outer
    guard base > 1, base <= 1e15 else {
      throw (inner?.has("rope_theta") == true ? inner ?? fields : fields).refusal(
        "rope_theta", found: "\(base)", expected: "more than 1, at most 1e15")
    }
    return base
  }

  private static func scaling(
    _ fields: ConfigFields, positions: Int
  ) throws(ModelError) -> RotaryScaling {
    guard let scaling = try rotation(fields) else { return .none }
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
