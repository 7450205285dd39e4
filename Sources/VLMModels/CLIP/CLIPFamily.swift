import VLMFoundation
import VLMTensor

/// CLIP (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"): a
/// tower for pictures and one for texts, whose vectors are likened to each other.
///
/// The files are open_clip's and OpenAI's own, with a ViT or a ConvNeXt for pictures, transformers'
/// `CLIPModel`, and Apple's own of a MobileCLIP. What people train on top of a CLIP's image tower is found here too: the
/// rest of the CLIP is left out then.
package enum CLIPFamily: ModelFamily {
  package typealias Config = CLIPConfig

  package static let name = "open_clip"
  package static let hasManyNames = true
  package static let summary: String? = "CLIP"

  package static let stated = StatedClasses(
    classes: ["CLIPModel", "MetaClip2Model"], types: ["clip", "metaclip_2"], patterns: ["CLIP…"])

  /// transformers' `CLIPModel` is found by its image tower.
  package static func isPresent(in names: [String]) -> Bool {
    names.contains("visual.conv1.weight") && names.contains("visual.class_embedding")
      || MobileCLIPNames.arePresent(in: names)
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    if let found = try MobileCLIPCheckpoint.recognise(facts) { return found }
    if let found = try CLIPHead.recognise(facts) { return found }
    if let found = try OpenCLIPCheckpoint.recognise(facts) { return found }
    try CLIPDescription.refuseKin(facts)
    return try CLIPModelCheckpoint.recognise(facts)
  }
}

extension CLIPConfig: ModelConfig {
  package func build(_ weights: Weights) throws(ModelError) -> ModelLayers {
    .imageAndText(try CLIP(weights, self))
  }

  package var image: (any VisionTowerConfig)? { imageTower }
  package var text: TextTowerConfig? { textTower }

  /// open_clip states the steps of its ConvNeXts beside them.
  package func assumedSteps(naming: String) -> AssumedSteps {
    // ml-mobileclip resizes and crops, and leaves colours as they are.
    if naming == MobileCLIPCheckpoint.naming {
      let side = imageTower.geometry.trainedSide ?? 256
      return .processor(
        [
          "image_processor_type": "CLIPImageProcessor", "size": ["shortest_edge": .int(side)],
          "crop_size": ["height": .int(side), "width": .int(side)], "resample": 2,
          "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0],
        ], of: "MobileCLIP's, at a side of \(side)")
    }
    if let tower = imageTower as? SigLIPConfig { return tower.assumedSteps(naming: naming) }
    return imageTower.geometry.trainedSide.map { .clip(side: $0) } ?? .timm
  }
}
