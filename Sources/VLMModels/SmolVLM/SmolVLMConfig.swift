import VLMFoundation
import VLMTensor

/// A SmolVLM: a vision tower with a pixel shuffle, one linear layer, and a language model that reads
/// the tiles of a picture with marks around each.
package struct SmolVLMConfig: Sendable, Equatable {
  package var vision: SmolVLMVisionConfig
  package var language: LLaMAConfig

  package init(vision: SmolVLMVisionConfig, language: LLaMAConfig) {
    self.vision = vision
    self.language = language
  }

  /// The same as what runs it knows it.
  var parts: LLaVAConfig {
    LLaVAConfig(
      tower: vision,
      projector: ProjectorConfig(
        layers: 1, inputs: vision.featureColumns, outputs: language.hidden, hasBias: false),
      language: language, promptLimit: nil)
  }
}

extension SmolVLMConfig: ModelConfig {
  package var json: JSONValue { ["vision": vision.json, "language": language.json] }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue) throws(ModelError) {
    vision = try SmolVLMVisionConfig(
      json: json["vision"] ?? .null, path: SmolVLMFamily.name + ".vision")
    language = try LLaMAConfig(json: json["language"] ?? .null)
    try parts.validate()
  }

  package func build(_ weights: Weights) throws(ModelError) -> ModelLayers {
    .imageAndLanguage(try LLaVA(weights, parts))
  }

  package var languageModel: LLaMAConfig? { language }
  package var visionTower: (any VisionTowerConfig)? { vision }
  package var marksTiles: Bool { true }

  /// Those of `Idefics3ImageProcessor`: four tiles along the longest side.
  package func assumedSteps(naming: String) -> AssumedSteps {
    .processor(
      [
        "image_processor_type": "Idefics3ImageProcessor",
        "size": ["longest_edge": .int(4 * vision.imageSize)],
        "max_image_size": ["longest_edge": .int(vision.imageSize)],
      ], of: "Idefics3's, in tiles of \(vision.imageSize)")
  }
}
