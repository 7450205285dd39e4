import VLMFoundation
import VLMTensor

/// Decoders: LLaMA and every architecture of `Decoders.all`, each of which is its block with some
/// `DecoderTraits`.
///
/// Alone one writes text; every LLaVA has one. The files are transformers', Meta's own and GGUF.
package enum LLaMAFamily: ModelFamily {
  package typealias Config = LLaMAConfig

  package static let name = "llama"
  package static let summary: String? = "LLaMA, Mistral, Qwen, Phi-3, Gemma, Granite, OLMo"

  /// Without what LLaVAs state, which is their family's.
  package static let stated = Decoders.all.reduce(into: StatedClasses()) { all, architecture in
    let stated = architecture.stated
    all.classes.formUnion(stated.classes.subtracting(LLaVAFamily.upstreamClasses))
    all.types.formUnion(stated.types.subtracting(LLaVAFamily.stated.types))
    all.patterns += stated.patterns
  }

  package static let writesText = true
  package static let hasManyNames = true

  package static func isPresent(in names: [String]) -> Bool {
    LLaMANaming.detect(names) != nil || Gemma3Whole.isPresent(in: names)
  }

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
