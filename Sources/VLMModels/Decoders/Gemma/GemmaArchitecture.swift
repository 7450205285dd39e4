import VLMFoundation
import VLMTensor

/// Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size"): scaled
/// embeddings, norms around attention and gated layer whose stored weights lack 1, gates of tanh GELU,
/// capped scores and logits, every other layer slides.
enum Gemma2Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Gemma2ForCausalLM"], types: ["gemma2"], patterns: ["Gemma2…"])
  static let keys = Gemma.keys
  static let usual = Gemma.usual(positions: 8192, ropeBase: 10_000)
  static let normOffset: Float = 1

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    Gemma.adapt(&config)
    config.traits.scoreScale = try Gemma.scoreScale(fields)
    config.traits.scoreCap = try Gemma.cap(fields, "attn_logit_softcapping", usual: 50)
    config.traits.logitCap = try Gemma.cap(fields, "final_logit_softcapping", usual: 30)
    try config.slide(fields, window: try fields.slidingWindow(usual: 4096)) { $0 % 2 == 0 }
  }

  static let ggufNames = ["gemma2"]
  static let ggufKeys: Set<String> = [
    "attn_logit_softcapping", "final_logit_softcapping", "rope.freq_base_swa",
  ]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    Gemma.adapt(&config)
    // As in llama.cpp: the file does not say, and only the 27B has another scale than its heads'.
    if config.layers == 46 { Gemma.scaleByWidth(&config) }
    config.traits.scoreCap = try Gemma.cap(gguf, "attn_logit_softcapping", usual: 50)
    config.traits.logitCap = try Gemma.cap(gguf, "final_logit_softcapping", usual: 30)
    let base = try gguf.statedDouble("rope.freq_base_swa") ?? config.ropeBase
    guard base == config.ropeBase else {
      throw gguf.fields.unexpected(
        gguf.key("rope.freq_base_swa"), "\(base)", expected: "\(config.ropeBase), as of all layers")
    }
    config.traits.slide(config.layers, window: try gguf.window() ?? 4096) { $0 % 2 == 0 }
  }
}

/// Gemma 3's language model (Gemma Team, "Gemma 3 Technical Report"): as Gemma 2, with norms of queries
/// and keys in place of the cap of scores; of six layers five slide, and turn by a base of their own.
enum Gemma3Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: Gemma3Whole.stated.classes.union(["Gemma3ForCausalLM"]),
    types: Gemma3Whole.stated.types.union(["gemma3_text"]), patterns: ["Gemma3…"])
  static let keys = Gemma.keys.adding(
    free: ["rope_local_base_freq", "sliding_window_pattern", "_sliding_window_pattern"],
    // The class stores a cap of scores and does not use it.
    neutral: ["attn_logit_softcapping": []])
  static let usual: DecoderDefaults = {
    var usual = Gemma.usual(positions: 131_072, ropeBase: 1_000_000)
    // The 4B's file leaves these out.
    (usual.vocabulary, usual.heads) = (262_208, 8)
    usual.nestsRotation = true
    return usual
  }()
  static let normOffset: Float = 1

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    Gemma.adapt(&config)
    config.traits.queryNorms = .heads
    config.traits.scoreScale = try Gemma.scoreScale(fields)
    config.traits.logitCap = try Gemma.cap(fields, "final_logit_softcapping", usual: nil)
    // The class stores it as "_sliding_window_pattern", too, and does not read that.
    let pattern = try fields.int("sliding_window_pattern", 1...1000, default: 6)
    let window = try fields.slidingWindow(usual: 4096)
    try config.slide(fields, window: window) { ($0 + 1) % pattern != 0 }
    // transformers 5 has an object for each type of layer, 4 a key beside the other base.
    let local = try fields.double("rope_local_base_freq", default: 10_000)
    config.turnWindows(base: try fields.slidingBase(usual: local))
  }

  static let ggufNames = ["gemma3"]
  static let ggufKeys: Set<String> = [
    "final_logit_softcapping", "rope.freq_base_swa", "attention.sliding_window_pattern",
  ]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    Gemma.adapt(&config)
    config.traits.queryNorms = .heads
    // As in llama.cpp, see Gemma 2.
    if config.layers == 62 { Gemma.scaleByWidth(&config) }
    config.traits.logitCap = try Gemma.cap(gguf, "final_logit_softcapping", usual: nil)
    let pattern = try gguf.int("attention.sliding_window_pattern", 1...1000, default: 6)
    config.traits.slide(config.layers, window: try gguf.window()) { ($0 + 1) % pattern != 0 }
    config.turnWindows(base: try gguf.statedDouble("rope.freq_base_swa") ?? 10_000)
  }
}

/// What Gemma 2 and 3 share.
private enum Gemma {
  static let keys = ConfigKeys.llama.adding(
    free: [
      "hidden_activation", "query_pre_attn_scalar", "attn_logit_softcapping",
      "final_logit_softcapping",
    ], neutral: ["use_bidirectional_attention": []])

  static func usual(positions: Int, ropeBase: Double) -> DecoderDefaults {
    DecoderDefaults(
      epsilon: 1e-6, positions: positions, ropeBase: ropeBase, tiesHead: true, headDimension: 256,
      keyValueHeads: 4, activation: .geluTanh, activationKey: "hidden_activation",
      activations: ["gelu_pytorch_tanh": .geluTanh, "gelu_new": .geluTanh, "gelu": .gelu])
  }

  static func adapt(_ config: inout LLaMAConfig) {
    config.traits.embeddingScale = Float(config.hidden).squareRoot()
    config.traits.norms = .around
  }

  static func scaleByWidth(_ config: inout LLaMAConfig) {
    config.traits.scoreScale = 1 / Float(config.hidden / config.heads).squareRoot()
  }

  static func scoreScale(_ fields: ConfigFields) throws(ModelError) -> Float {
    let scalar = try fields.double("query_pre_attn_scalar", default: 256)
    guard scalar >= 1e-6, scalar <= 1e6 else {
      throw fields.unexpected(
        "query_pre_attn_scalar", "\(scalar)", expected: "a number from 1e-6 to 1e6")
    }
    return Float(1 / scalar.squareRoot())
  }

  /// - Parameter usual: the class's, for a file without the key; null in a file means that there is
  ///   none.
  static func cap(
    _ fields: ConfigFields, _ key: String, usual: Float?
  ) throws(ModelError) -> Float? {
    if fields.value[key] == nil { return usual }
    return try fields.statedDouble(key).map { Float($0) }
  }
  /// The same of a GGUF file, where 0 means that there is none.
  static func cap(
    _ gguf: GGUFFields, _ key: String, usual: Float?
  ) throws(ModelError) -> Float? {
    guard let stated = try gguf.statedDouble(key) else { return usual }
    return stated == 0 ? nil : Float(stated)
  }
}
