import VLMFoundation
import VLMTensor

/// LLaMA (Touvron et al., "LLaMA: Open and Efficient Foundation Language Models") and what computes
/// as it does: Llama 2 and 3, Mistral, Qwen2, SmolLM2.
///
/// Alone it writes text; every LLaVA has one. The files are transformers', Meta's own and GGUF.
package enum LLaMAFamily: ModelFamily {
  package typealias Config = LLaMAConfig

  package static let name = "llama"
  package static let summary: String? = "LLaMA and its kin (Vicuna, Mistral, SmolLM2, Qwen 2)"

  package static let stated = StatedClasses(
    classes: [
      "LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel", "MistralForCausalLM",
      "Qwen2ForCausalLM",
    ],
    types: ["llama", "mistral", "qwen2"],
    patterns: ["Llama…", "Mistral…", "Qwen2…"])

  package static let writesText = true

  package static func isPresent(in names: [String]) -> Bool { LLaMANaming.detect(names) != nil }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    try LLaMACheckpoint.recognise(facts)
  }
}

extension LLaMAConfig: ModelConfig {
  package func build(_ weights: Weights) throws(ModelError) -> ModelLayers {
    .language(try LLaMA(weights, self))
  }

  package var languageModel: LLaMAConfig? { self }
}
