import VLMFoundation
import VLMTensor

/// SmolVLM and SmolVLM2 (Marafioti et al., "SmolVLM: Redefining small and efficient multimodal
/// models"), which transformers calls Idefics3 and SmolVLM: a SigLIP whose positions fit any grid of
/// patches, a pixel shuffle, one linear layer, and a LLaMA that reads a picture as tiles and an overview
/// with marks between them.
///
/// The files are transformers', and the two halves that llama.cpp has in GGUF.
package enum SmolVLMFamily: ModelFamily {
  package typealias Config = SmolVLMConfig

  package static let name = "smolvlm"
  package static let summary: String? = "SmolVLM"

  package static let stated = StatedClasses(
    classes: ["Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"],
    types: ["idefics3", "smolvlm"], patterns: ["Idefics3…", "SmolVLM…"])

  package static let writesText = true

  package static func isPresent(in names: [String]) -> Bool {
    SmolVLMNaming.prefix(names) != nil
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    if let half = try SmolVLMVisionHalf(facts) { return try SmolVLMCheckpoint(half).model() }
    guard let prefix = SmolVLMNaming.prefix(facts.names.map(\.name)) else { return nil }
    return try SmolVLMCheckpoint(facts, prefix: prefix).model()
  }

  package static func isVisionHalf(
    _ metadata: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> Bool {
    SmolVLMVisionHalf.isOne(metadata)
  }

  package static func descriptions(
    of facts: CheckpointFacts
  ) throws(ModelError) -> (language: JSONValue?, tower: JSONValue?)? {
    if let half = try SmolVLMVisionHalf(facts) { return (facts.description, half.tower) }
    let names = Set(facts.names.map(\.name))
    guard let prefix = SmolVLMNaming.prefix(names) else { return nil }
    let description = try SmolVLMDescription(
      facts.description, hasHead: names.contains(SmolVLMNaming.head(prefix)))
    return (description.language, nil)
  }
}
