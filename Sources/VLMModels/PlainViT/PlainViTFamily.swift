import VLMFoundation
import VLMTensor

/// Plain vision transformers: DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features
/// without Supervision"), with registers too (Darcet et al., "Vision Transformers Need Registers"),
/// DINOv3 (Siméoni et al., "DINOv3"), and the ViT classifiers of timm (Dosovitskiy et al., "An
/// Image is Worth 16x16 Words").
///
/// They embed pictures, or classify them. The files are transformers' `Dinov2Model`,
/// `Dinov2WithRegistersModel` and their classifiers, `DINOv3ViTModel`, timm's `vit_…` and `deit_…`,
/// and facebookresearch's own.
package enum PlainViTFamily: ModelFamily {
  package typealias Config = PlainViTConfig

  package static let name = "vit"
  package static let hasManyNames = true
  package static let summary: String? = "a DINOv2, a DINOv3 or a ViT of timm's"

  package static let stated = StatedClasses(
    classes: [
      "Dinov2Model", "Dinov2ForImageClassification", "Dinov2WithRegistersModel",
      "Dinov2WithRegistersForImageClassification", "DINOv3ViTModel",
    ], types: ["dinov2", "dinov2_with_registers", "dinov3_vit"],
    patterns: ["Dinov2…", "DINOv3ViT…"])

  package static func isPresent(in names: [String]) -> Bool {
    PlainViTNaming.find(Set(names)) != nil
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let found = try PlainViTCheckpoint(facts.names, facts.description) else { return nil }
    return found.model(
      PlainViTFamily.self, naming: found.naming == .timm ? "timm" : "hugging-face")
  }
}

extension PlainViTConfig: ModelConfig {
  package func assumedSteps(naming: String) -> AssumedSteps {
    guard naming == "hugging-face" else { return .timm }
    if rotaryBase != nil {
      return .processor(
        [
          "image_processor_type": "DINOv3ViTImageProcessorFast",
          "size": ["height": .int(imageSize), "width": .int(imageSize)],
          "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        ], of: "DINOv3's, at a side of \(imageSize)")
    }
    return .processor(
      [
        "image_processor_type": "BitImageProcessor", "size": ["shortest_edge": 256],
        "crop_size": ["height": 224, "width": 224], "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 3,
      ], of: "DINOv2's, at a side of 224")
  }
}
