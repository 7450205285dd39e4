import VLMFoundation
import VLMTensor

/// The image tower of SigLIP and SigLIP 2 (Zhai et al., "Sigmoid Loss for Language Image
/// Pre-Training"; Tschannen et al., "SigLIP 2"): a ViT without a class token or a norm in front of
/// its layers, whose tokens a query of its own pools by attention.
///
/// Alone it embeds pictures, or classifies them; many language models see with its patches. The files
/// are transformers' `SiglipVisionModel`, `SiglipModel` and `SiglipForImageClassification`, the same of
/// `Siglip2`, whose pictures have any proportions (NaFlex), open_clip's and timm's. With a tower for
/// texts beside it the model is a pair of towers, as a CLIP is.
package enum SigLIPFamily: ModelFamily, VisionTowerFamily {
  package typealias Config = SigLIPConfig
  package typealias Tower = SigLIPConfig

  package static let name = "siglip"
  package static let summary: String? = "SigLIP"
  package static let possessive = "a SigLIP's"

  package static let stated = StatedClasses(
    classes: [
      "SiglipModel", "SiglipVisionModel", "SiglipForImageClassification", "Siglip2Model",
      "Siglip2VisionModel", "Siglip2ForImageClassification",
    ],
    types: ["siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model"],
    towerTypes: ["siglip_vision_model"],
    patterns: ["Siglip…"])

  package static func isPresent(in names: [String]) -> Bool {
    let all = Set(names)
    guard let (naming, prefix) = SigLIPNaming.find(all) else { return false }
    // Other ViTs of timm's have the same names, but for the pooling head's.
    return naming == .huggingFace || all.contains(prefix + "attn_pool.latent")
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard var found = try SigLIPCheckpoint(facts.names, facts.description, .image) else {
      return nil
    }
    if let model = try SigLIPModelCheckpoint.recognise(found, facts.description) { return model }
    found.leaveOutTexts(tells: true)
    return found.model(
      SigLIPFamily.self, naming: found.naming == .huggingFace ? "hugging-face" : "timm")
  }

  package static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint? {
    var notes: [Note] = []
    let layers = try facts.selectedLayers(usual: -2, notes: &notes)
    guard
      var found = try SigLIPCheckpoint(
        facts.names, facts.description, place: facts.place, .layers(layers))
    else { return nil }
    found.leaveOutTexts(tells: false)
    // transformers takes the first token for the class's, which is a patch here.
    let key = "vision_feature_select_strategy"
    let strategy = try facts.fields.statedString(key) ?? "full"
    guard strategy == "full" else {
      throw facts.fields.refusal(
        key, found: "'\(strategy)'",
        expected: "'full': a SigLIP has no class token to leave out")
    }
    return found.tower(notes: notes)
  }
}

extension SigLIPConfig: ModelConfig {
  /// Those of `SiglipImageProcessor`: the whole picture, squeezed into the square.
  package func assumedSteps(naming: String) -> AssumedSteps {
    guard !isFlattened else {
      return .processor(
        [
          "image_processor_type": "Siglip2ImageProcessor", "patch_size": .int(patchSize),
          "max_num_patches": .int(tableSide * tableSide),
        ], of: "SigLIP 2's, at \(tableSide * tableSide) patches")
    }
    return .processor(
      [
        "image_processor_type": "SiglipImageProcessor",
        "size": ["height": .int(imageSize), "width": .int(imageSize)],
      ], of: "SigLIP's, at a side of \(imageSize)")
  }
}
