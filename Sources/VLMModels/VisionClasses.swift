import VLMFoundation
import VLMTensor

/// transformers' classes that have a ConvNeXt or a CLIP inside and give something else than a
/// vector or classes of it.
enum VisionClasses {
  private static let tasks = [
    "Segmentation", "Detection", "DepthEstimation", "Matting", "ImageModeling", "SuperResolution",
    "KeypointMatching", "PoseEstimation", "ImageTextRetrieval",
  ]
  /// The same by `model_type`, of files that name no class.
  private static let types: Set<String> = [
    "upernet", "maskformer", "mask2former", "oneformer", "clipseg", "vitmatte", "dpt", "detr",
    "conditional_detr", "deformable_detr", "deta", "rt_detr", "grounding-dino", "omdet-turbo",
  ]

  /// - Throws: `ModelError` naming the class, or else the type, that `config.json` states.
  static func refuse(_ description: JSONValue?) throws(ModelError) {
    let classes = description?["architectures"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let expected =
      "a model that classifies or embeds images, or talks about them; segmentation, detection and "
      + "their kin are not supported"
    for name in classes where tasks.contains(where: { name.contains("For") && name.contains($0) }) {
      throw ModelError(
        .configuration(field: "architectures", found: "'\(name)'", expected: expected))
    }
    if let type = description?["model_type"]?.stringValue, types.contains(type) {
      let name = classes.first ?? type
      throw ModelError(
        .configuration(
          field: classes.isEmpty ? "model_type" : "architectures", found: "'\(name)'",
          expected: expected))
    }
  }
}
