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

  /// Patches along a side of the position table.
  package var tableSide: Int { imageSize / max(1, patchSize) }
  /// Values of one patch.
  package var patchInputs: Int { 3 * patchSize * patchSize }
  /// Columns of a feature: those of its patches one behind the other.
  package var featureColumns: Int { encoder.width * shuffle * shuffle }

  /// Patches along the sides of a picture; rows and columns of pixels that fill none are dropped.
  func patches(height: Int, width: Int) -> MapExtent {
    MapExtent(height: height / patchSize, width: width / patchSize)
  }

  /// Refuses what no SmolVLM has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = SmolVLMFamily.name + ".vision") throws(ModelError) {
    try encoder.validate(place + ".encoder")
    try ModelError.check("\(place).patch_size", patchSize, 1...128)
    try ModelError.check("\(place).image_size", imageSize, patchSize...16_384)
    try ModelError.check("\(place).shuffle", shuffle, 1...16)
    try ModelError.check(
      "\(place).encoder.width × shuffle²", featureColumns, 1...TensorFormat.maximumInputs)
  }
}

extension SmolVLMVisionConfig: VisionTowerConfig {
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
    [
      "image_size": .int(imageSize), "patch_size": .int(patchSize), "encoder": encoder.json,
      "shuffle": .int(shuffle),
    ]
  }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    imageSize = try fields.int("image_size")
    patchSize = try fields.int("patch_size")
    encoder = try TransformerConfig(try fields.object("encoder"))
    shuffle = try fields.int("shuffle")
    try validate(path)
  }
}
