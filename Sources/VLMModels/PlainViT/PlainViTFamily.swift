import VLMFoundation
import VLMTensor

/// Plain vision transformers: DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features
/// without Supervision"), with registers too (Darcet et al., "Vision Transformers Need Registers"),
/// DINOv3 (Siméoni et al., "DINOv3"), ViTs (Dosovitskiy et al., "An Image is Worth 16x16 Words") and
/// DeiTs (Touvron et al., "Training data-efficient image transformers & distillation through
/// attention").
///
/// They embed pictures, or classify them. The files are transformers' `ViTModel`, `DeiTModel`,
/// `Dinov2Model`, `Dinov2WithRegistersModel` and their classifiers, `DINOv3ViTModel`, timm's `vit_…`
/// (`…_dinov3` too) and `deit…`, and facebookresearch's own.
package enum PlainViTFamily: ModelFamily {
  package typealias Config = PlainViTConfig

  package static let name = "vit"
  package static let hasManyNames = true
  package static let summary: String? = "ViT, DeiT, DINOv2, DINOv3"

  package static let stated = StatedClasses(
    classes: [
      "Dinov2Model", "Dinov2ForImageClassification", "Dinov2WithRegistersModel",
      "Dinov2WithRegistersForImageClassification", "DINOv3ViTModel", "ViTModel",
      "ViTForImageClassification", "DeiTModel", "DeiTForImageClassification",
      "DeiTForImageClassificationWithTeacher",
    ], types: ["dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit"],
    patterns: ["ViT…", "DeiT…", "Dinov2…", "DINOv3ViT…"])

  package static func isPresent(in names: [String]) -> Bool {
    PlainViTNaming.find(Set(names)) != nil
  }

  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    guard let found = try PlainViTCheckpoint(facts.names, facts.description) else { return nil }
    let naming =
      switch found.naming {
      case .timm, .timmDINOv3: "timm"
      case .facebookDINOv3: ViTSteps.facebook
      case .vit: ViTSteps.naming
      case .huggingFace, .dinov3: "hugging-face"
      }
    return found.model(PlainViTFamily.self, naming: naming)
  }
}

/// What transformers' ViTs and DeiTs are shown where no file says it.
private enum ViTSteps {
  static let naming = "hugging-face-vit"
  /// facebookresearch's own DINOv3s, which see what transformers' class of them makes.
  static let facebook = "facebook"

  /// - Parameter isDistilled: whether it is a DeiT.
  static func assumed(_ image: MapExtent, isDistilled: Bool) -> AssumedSteps {
    func size(_ numerator: Int = 1, _ denominator: Int = 1) -> JSONValue {
      [
        "height": .int(image.height * numerator / denominator),
        "width": .int(image.width * numerator / denominator),
      ]
    }
    guard isDistilled else {
      return .processor(
        ["image_processor_type": "ViTImageProcessor", "size": size()],
        of: "ViT's, \(image.words)")
    }
    return .processor(
      [
        "image_processor_type": "DeiTImageProcessor", "size": size(256, 224),
        "crop_size": size(), "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
      ], of: "DeiT's, \(image.words)")
  }
}

extension PlainViTConfig: ModelConfig {
  /// What it was trained to see.
  private var picture: MapExtent {
    MapExtent(height: imageSize, width: imageWidth ?? imageSize)
  }

  package func assumedSteps(naming: String) -> AssumedSteps {
    if naming == ViTSteps.naming {
      return ViTSteps.assumed(picture, isDistilled: hasDistillationToken)
    }
    if naming == "timm", rotaryBase != nil { return .timmWhole(side: imageSize) }
    guard naming == "hugging-face" || rotaryBase != nil else { return .timm }
    if rotaryBase != nil {
      return DINOv3Steps.assumed(picture)
    }
    return .processor(
      [
        "image_processor_type": "BitImageProcessor", "size": ["shortest_edge": 256],
        "crop_size": ["height": 224, "width": 224], "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 3,
      ], of: "DINOv2's, at a side of 224")
  }
}
