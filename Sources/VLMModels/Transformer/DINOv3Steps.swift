import VLMFoundation
import VLMTensor

/// What DINOv3s are shown where no file says it: the whole picture, squeezed, as transformers' class
/// for them and facebookresearch's code make it.
enum DINOv3Steps {
  static func assumed(_ picture: MapExtent) -> AssumedSteps {
    .processor(
      [
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": ["height": .int(picture.height), "width": .int(picture.width)],
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
      ], of: "DINOv3's, \(picture.words)")
  }

  /// - Parameters:
  ///   - names: of a ConvNeXt's tensors.
  ///   - description: `config.json`, if there.
  /// - Returns: nil for a ConvNeXt that is no DINOv3.
  /// - Throws: `ModelError` for an `image_size` that is none.
  static func assumed(
    _ naming: ConvNeXtNaming, _ names: [CheckpointFacts.Name], _ description: JSONValue?
  ) throws(ModelError) -> AssumedSteps? {
    switch naming {
    case .dinov3:
      let fields = try ConfigFields(stated: description, path: "config.json")
      let size = try fields.statedExtent("image_size") ?? MapExtent(height: 224, width: 224)
      return assumed(size)
    // facebookresearch's own files have the norms behind stages in a list.
    case .facebook where names.contains(where: { $0.name.contains("norms.") }):
      return assumed(MapExtent(height: 256, width: 256))
    default: return nil
    }
  }
}

extension MapExtent {
  /// As what pictures are made to fit, for messages.
  var words: String {
    height == width ? "at a side of \(height)" : "at \(width)×\(height)"
  }
}
