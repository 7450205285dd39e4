import VLMFoundation
import VLMTensor

/// Mistral (Jiang et al., "Mistral 7B"): LLaMA, all of whose layers may slide. llama.cpp stores it as a
/// LLaMA.
enum MistralArchitecture: DecoderArchitecture {
  static let stated = StatedClasses(
    classes: ["MistralForCausalLM", "LlavaMistralForCausalLM"],
    types: ["mistral", "llava_mistral"], patterns: ["Mistral…"])
  static let keys = ConfigKeys.llama

  static func adapt(_ config: inout LLaMAConfig, to fields: ConfigFields) throws(ModelError) {
    try config.slide(fields, window: try fields.slidingWindow(usual: 4096)) { _ in true }
  }

  static let ggufNames: [String] = []

  static func adapt(_ config: inout LLaMAConfig, to gguf: GGUFFields) throws(ModelError) {}
}
