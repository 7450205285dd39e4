import VLMFoundation
import VLMTensor

/// LLaMA itself: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", Llama 2 and 3
/// and what is stored as one of them (Vicuna, TinyLlama, SmolLM2); and the language models of LLaVAs,
/// whose files have the fields beside their own, where another architecture does not state theirs.
enum LLaMAArchitecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: Set(["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"])
      .union(LLaVAFamily.upstreamClasses)
      .subtracting(others.flatMap(\.classes)),
    types: Set(["llama"]).union(LLaVAFamily.stated.types).subtracting(others.flatMap(\.types)),
    patterns: ["Llama…"])
  /// Architectures that LLaVAs have, too, and state the names of those.
  private static let others = [MistralArchitecture.stated, Qwen2Architecture.stated]
  static let keys = ConfigKeys.llama

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    try config.slide(fields, window: try fields.slidingWindow()) { _ in true }
  }

  static let ggufNames = ["llama"]
  static let ggufTurnsNeighbours = true

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {
    config.traits.slide(config.layers, window: try gguf.window()) { _ in true }
  }
}
