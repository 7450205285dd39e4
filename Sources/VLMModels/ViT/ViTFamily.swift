import VLMFoundation
import VLMTensor

/// CLIP's vision transformer (Radford et al., "Learning Transferable Visual Models From Natural
/// Language Supervision"): patches as tokens, a class token before them, pre-norm layers.
///
/// Alone it embeds pictures, or classifies them where people put a head on it; LLaVA-1.5 sees with
/// its patches. The files are transformers', open_clip's and OpenAI's own.
package enum ViTFamily: ModelFamily, VisionTowerFamily {
  package typealias Config = ViTConfig
  package typealias Tower = ViTConfig

  package static let name = "clip_vit"
  package static let possessive = "a CLIP's"

  package static let stated = StatedClasses(
    classes: [
      "CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPForImageClassification",
      "MetaClip2VisionModel", "MetaClip2VisionModelWithProjection",
    ],
    types: ["clip_vision_model", "metaclip_2_vision_model"], towerTypes: ["clip_vision_model"])

  package static func isPresent(in names: [String]) -> Bool {
    names.contains("vision_model.embeddings.patch_embedding.weight")
      || names.contains("embeddings.patch_embedding.weight")
        && names.contains("embeddings.class_embedding")
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    try ViTCheckpoint.recognise(facts)
  }

  package static func tower(in facts: TowerFacts) throws(ModelError) -> TowerCheckpoint? {
    let feature: ViTConfig.Feature =
      try facts.fields.statedChoice(
        "mm_vision_select_feature", ["patch": .patches, "cls_patch": .tokens]) ?? .patches
    var notes = facts.clipNotes
    let layers = try facts.selectedLayers(usual: -2, notes: &notes)
    guard
      let found = try ViTCheckpoint(
        names: facts.names, description: facts.description, place: facts.place,
        ViTCheckpoint.Selection(feature: feature, layers: layers))
    else { return nil }
    return found.tower(notes: notes)
  }
}

extension ViTConfig: ModelConfig {
  package func assumedSteps(naming: String) -> AssumedSteps { .clip(side: imageSize) }
}
