import VLMFoundation
import VLMTensor

/// FastViT (Vasu et al., "FastViT: A Fast Hybrid Vision Transformer using Structural
/// Reparameterization") and the towers of its build: MobileCLIP's, and FastVLM's FastViTHD. Stages
/// of convolutions, the last of them with attention.
///
/// The files are timm's, those of transformers' wrapper of it, and Apple's own, each as it is
/// trained, in branches with batch norms, or fused. What is trained in branches is fused by the
/// conversion.
package enum FastViTFamily: ModelFamily, VisionTowerFamily {
  package typealias Config = FastViTConfig
  package typealias Tower = FastViTConfig

  package static let name = "fastvit"
  package static let summary: String? = "FastViT"
  package static let possessive = "a FastViT's"

  /// The classes of timm's wrapper, which hold many families' models, are a ConvNeXt's here.
  package static let stated = StatedClasses(towerTypes: ["timm_wrapper"])

  package static func isPresent(in names: [String]) -> Bool {
    FastViTNaming.find(Set(names)) != nil
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let found = try FastViTCheckpoint(facts.names, facts.description, .image) else {
      return nil
    }
    return found.model(FastViTFamily.self, naming: found.naming == .timm ? "timm" : "apple")
  }

  package static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint? {
    guard
      var found = try FastViTCheckpoint(
        facts.names, facts.description, place: facts.place, .map)
    else { return nil }
    // "mobileclip_l_1024": Apple's code takes the side from the name.
    if found.config.imageSize == nil, let name = facts.llava["mm_vision_tower"]?.stringValue,
      name.hasPrefix("mobileclip"), let side = name.split(separator: "_").last.flatMap({ Int($0) })
    {
      found.config.imageSize = side
      try found.config.validate()
    }
    var tower = found.tower()
    if facts.description == nil { tower.notes = [] }
    return tower
  }
}

extension FastViTConfig: ModelConfig {
  /// Under a language model those of FastVLM's code, else timm's.
  package func assumedSteps(naming: String) -> AssumedSteps {
    guard feature == .map else { return .timm }
    let side = imageSize ?? 1024
    return .processor(
      [
        "image_processor_type": "CLIPImageProcessor", "size": ["shortest_edge": .int(side)],
        "crop_size": ["height": .int(side), "width": .int(side)],
        "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0],
      ], of: "FastVLM's, at a side of \(side)")
  }
}
