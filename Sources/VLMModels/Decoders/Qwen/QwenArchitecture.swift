import VLMFoundation
import VLMTensor

/// Qwen 2 and 2.5 (Yang et al., "Qwen2 Technical Report"): LLaMA with biases of queries, keys and values.
/// Published models switch their sliding layers off.
enum Qwen2Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Qwen2ForCausalLM", "LlavaQwen2ForCausalLM", "LlavaQwenForCausalLM"],
    types: ["qwen2", "llava_qwen2", "llava_qwen"], patterns: ["Qwen2…"])
  static let keys = ConfigKeys.llama
  static let usual = DecoderDefaults(
    positions: 32_768, attentionBias: true, hasOutputBias: false)

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    try slideUpper(&config, fields)
  }

  /// The layers from `max_window_layers` on slide, if any do.
  static func slideUpper(
    _ config: inout LLaMAConfig, _ fields: ConfigFields
  ) throws(ModelError) {
    let first = try fields.int("max_window_layers", 0...1_000_000, default: 28)
    let window = try fields.slidingWindow(usual: 4096, isUsed: false)
    try config.slide(fields, window: window) { $0 >= first }
  }

  static let ggufNames = ["qwen2"]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    config.traits.slide(config.layers, window: try gguf.window()) { _ in true }
  }
}

/// Qwen 3 (Yang et al., "Qwen3 Technical Report"): norms of queries and keys, head by head, before they
/// turn; no biases; heads of any width.
enum Qwen3Architecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["Qwen3ForCausalLM"], types: ["qwen3"], patterns: ["Qwen3…"])
  static let keys = ConfigKeys.llama
  static let usual = DecoderDefaults(epsilon: 1e-6, positions: 32_768, headDimension: 128)

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    config.traits.queryNorms = .heads
    try Qwen2Architecture.slideUpper(&config, fields)
  }

  static let ggufNames = ["qwen3"]

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    config.traits.queryNorms = .heads
    config.traits.slide(config.layers, window: try gguf.window()) { _ in true }
  }
}
