import VLMFoundation
import VLMTensor

/// LLaVA (Liu et al., "Visual Instruction Tuning") and the models of its build: LLaVA-1.5, ConvLLaVA,
/// LLaVA-HR, LLaVA-NeXT (1.6), LLaVA-OneVision, FastVLM. A vision tower, a projector, and a language
/// model that reads projected features between the tokens of the text.
///
/// The files are upstream's, transformers' `LlavaForConditionalGeneration` and its kin, and the two
/// halves that llama.cpp has in GGUF.
package enum LLaVAFamily: ModelFamily {
  package typealias Config = LLaVAConfig

  package static let name = "llava"
  package static let summary: String? = "LLaVA, FastVLM"

  /// Those of upstream's code, whose `config.json` is a language model's with more fields.
  static let upstreamClasses: Set<String> = [
    "LlavaLlamaForCausalLM", "LlavaHrForCausalLM", "LlavaMistralForCausalLM",
    "LlavaQwenForCausalLM", "LlavaQwen2ForCausalLM",
  ]
  /// Those of transformers, with the `model_type` of each.
  static let transformersClasses = [
    "LlavaForConditionalGeneration": "llava",
    "LlavaNextForConditionalGeneration": "llava_next",
    "LlavaOnevisionForConditionalGeneration": "llava_onevision",
    "FastVlmForConditionalGeneration": "fast_vlm",
  ]

  package static let stated = StatedClasses(
    classes: upstreamClasses.union(transformersClasses.keys),
    types: Set(transformersClasses.values).union([
      "llava_llama", "llava_hr", "llava_mistral", "llava_qwen", "llava_qwen2",
    ]), patterns: ["Llava…", "FastVlm…"])

  package static let writesText = true

  package static func isPresent(in names: [String]) -> Bool {
    LLaVANaming.detect(names)
      || names.contains { name in
        name.hasSuffix("multi_modal_projector.linear_1.weight")
          && name.split(separator: ".").count <= 4
      }
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    if let llava = try TransformersLLaVA(facts) {
      return try recognise(llava.facts, layer: "config.json.\(TransformersLLaVA.layerKey)")
        .map(llava.restoringNames)
    }
    if let llava = try GGUFLLaVA(facts) {
      return try recognise(llava.facts, layer: GGUFLLaVA.layerKey, file: facts.towerFile)
        .map(llava.restoringNames)
    }
    return try LLaVACheckpoint.recognise(facts)
  }

  package static func descriptions(
    of facts: CheckpointFacts
  ) throws(ModelError) -> (language: JSONValue?, tower: JSONValue?)? {
    var upstream = try TransformersLLaVA(facts)?.facts
    if upstream == nil { upstream = try GGUFLLaVA(facts)?.facts }
    return upstream.map { ($0.description, $0.towerDescription) }
  }

  /// - Throws: as of the family that all others follow: for every half that is none of its own.
  package static func isVisionHalf(
    _ metadata: JSONValue, _ names: [CheckpointFacts.Name]
  ) throws(ModelError) -> Bool {
    try GGUFLLaVA.refuseOthers(metadata, names)
    return true
  }

  /// - Parameters:
  ///   - layer: what the files call the field that upstream's code calls `mm_vision_select_layer`.
  ///   - file: that has it, where it is no description of the model.
  private static func recognise(
    _ facts: CheckpointFacts, layer: String, file: String? = nil
  ) throws(ModelError) -> ModelCheckpoint? {
    do throws(ModelError) {
      return try LLaVACheckpoint.recognise(facts)
    } catch {
      guard case .configuration(let field, let found, let expected) = error.problem,
        field.split(separator: ".").last == Substring(TowerFacts.layerKey)
      else { throw error }
      throw ModelError(
        file: error.file ?? file,
        .configuration(field: layer, found: found, expected: expected))
    }
  }
}

extension LLaVAConfig: ModelConfig {
  package func build(_ weights: Weights) throws(ModelError) -> ModelLayers {
    .imageAndLanguage(try LLaVA(weights, self))
  }

  package var languageModel: LLaMAConfig? { language }
  package var visionTower: (any VisionTowerConfig)? { tower }
}
