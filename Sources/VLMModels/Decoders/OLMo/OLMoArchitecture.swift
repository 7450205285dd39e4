import VLMFoundation
import VLMTensor

/// OLMo 2 (OLMo Team, "2 OLMo 2 Furious"): norms behind attention and gated layer and none before them;
/// queries and keys normed over all their heads before they turn.
enum OLMo2Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Olmo2ForCausalLM"], types: ["olmo2"], patterns: ["Olmo2…"])
  static let keys = ConfigKeys.llama.adding(neutral: ["sliding_window": [], "layer_types": []])
  static let usual = OLMo.usual

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    OLMo.adapt(&config)
  }

  /// OLMo 3 is stored under this name, too.
  static let ggufNames = ["olmo2"]
  static let ggufKeys: Set<String> = [
    "attention.sliding_window_pattern", "rope.freq_base_swa", "rope.scaling.yarn_attn_factor",
  ]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    OLMo.adapt(&config)
    try checkMagnitude(config, gguf)
    guard let window = try gguf.window() else { return }
    let slides = try slidingLayers(gguf, layers: config.layers)
    config.traits.slide(config.layers, window: window) { slides[$0] }
    let base = try gguf.statedDouble("rope.freq_base_swa") ?? config.ropeBase
    OLMo.turnPlainly(&config, base: base)
  }

  /// What YaRN's sines and cosines are multiplied by is not read where it is the rule's own.
  private static func checkMagnitude(
    _ config: LLaMAConfig, _ gguf: GGUFFields
  ) throws(ModelError) {
    let key = "rope.scaling.yarn_attn_factor"
    guard let stated = try gguf.statedDouble(key) else { return }
    var own = 1.0
    if case .yarn(let rule) = config.ropeScaling { own = rule.attention }
    guard abs(stated - own) <= 1e-5 else {
      throw gguf.fields.unexpected(gguf.key(key), "\(stated)", expected: "\(own), YaRN's own")
    }
  }

  /// Of each layer; llama.cpp's rule where the file does not say.
  private static func slidingLayers(
    _ gguf: GGUFFields, layers: Int
  ) throws(ModelError) -> [Bool] {
    let key = gguf.key("attention.sliding_window_pattern")
    guard let stated = gguf.fields.value[key] else { return (0..<layers).map(OLMo.slides) }
    let slides = (stated.arrayValue ?? []).compactMap(\.boolValue)
    guard slides.count == layers, stated.arrayValue?.count == layers else {
      throw gguf.fields.refusal(
        key, found: "\(slides.count) booleans", expected: "\(layers), one for each layer")
    }
    return slides
  }
}

/// OLMo 3 (OLMo Team, "Olmo 3"): OLMo 2, of whose layers three of four slide; those turn without the
/// scaling that the others may have.
enum OLMo3Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Olmo3ForCausalLM"], types: ["olmo3"], patterns: ["Olmo3…"])
  static let keys = ConfigKeys.llama
  static let usual: DecoderDefaults = {
    var usual = OLMo.usual
    (usual.ropeBase, usual.nestsRotation) = (500_000, true)
    return usual
  }()

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    OLMo.adapt(&config)
    let window = try fields.slidingWindow(usual: 4096)
    try config.slide(fields, window: window, where: OLMo.slides)
    OLMo.turnPlainly(&config, base: try fields.slidingBase(usual: config.ropeBase))
  }

  static let ggufNames: [String] = []

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {}
}

/// What OLMo 2 and 3 share.
private enum OLMo {
  static let usual = DecoderDefaults(epsilon: 1e-5, vocabulary: 50_304)

  static func adapt(_ config: inout LLaMAConfig) {
    config.traits.norms = .behind
    config.traits.queryNorms = .whole
  }

  /// Whether OLMo 3's layer `index` slides where the file does not say.
  static func slides(_ index: Int) -> Bool { (index + 1) % 4 != 0 }

  /// Lets layers with a window turn by `base`, unscaled.
  static func turnPlainly(_ config: inout LLaMAConfig, base: Double) {
    guard config.ropeScaling != .none || base != config.ropeBase else { return }
    config.turnWindows(base: base)
  }
}
