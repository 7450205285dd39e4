import VLMFoundation
import VLMTensor

/// Geometry of SmolVLM's vision tower, and of the pixel shuffle behind it; names follow transformers'
/// `Idefics3VisionConfig` and `Idefics3Connector`.
package struct SmolVLMVisionConfig: Sendable, Equatable {
  /// Side of the square picture that the position table is for.
  package var imageSize: Int
  package var patchSize: Int
  package var encoder: TransformerConfig
  /// Patches along each side of the blocks that become one feature: `scale_factor`.
  package var shuffle: Int

  package init(imageSize: Int, patchSize: Int, encoder: TransformerConfig, shuffle: Int) {
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.encoder = encoder
    self.shuffle = shuffle
  }

  /// Columns of a feature: those of its patches one behind the other.
  package var featureColumns: Int { encoder.width * shuffle * shuffle }

  /// Refuses what no SmolVLM has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = SmolVLMFamily.name + ".vision") throws(ModelError) {
    try validateSizes(place)
    try ModelError.check("\(place).shuffle", shuffle, 1...16)
    try ModelError.check(
      "\(place).encoder.width × shuffle²", featureColumns, 1...TensorFormat.maximumInputs)
  }
}

extension SmolVLMVisionConfig: PatchTransformerConfig {
  package static var family: String { SmolVLMFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize * shuffle, channels: featureColumns, takesAnyAspect: false,
      trainedSide: imageSize, maximumBatch: 1)
  }

  /// Features of a picture. The connector takes squares only, whose blocks are whole.
  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    let patches = patches(height: height, width: width)
    guard patches.height == patches.width, patches.height > 0, patches.height % shuffle == 0 else {
      throw ModelError(
        .image(
          found: "\(width)×\(height) pixels, \(patches.width)×\(patches.height) patches",
          expected: "as many patches across as down, a multiple of \(shuffle)"))
    }
    return MapExtent(height: patches.height / shuffle, width: patches.width / shuffle)
  }

  package func requireGrid(_ path: String) {}

  package var vector: TowerVector? { nil }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try SmolVLMVision(weights, self)
  }

  package var json: JSONValue {
    var object = sizesJSON
    object.set("shuffle", .int(shuffle))
    return .object(object)
  }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    (imageSize, patchSize, encoder) = try fields.patchSizes()
    shuffle = try fields.int("shuffle")
    try validate(path)
  }
}
