import VLMFoundation
import VLMTensor

/// The geometry of a transformer over the square patches of a picture.
package protocol PatchTransformerConfig: VisionTowerConfig {
  /// Side of the square picture that the position table is for, or the height of one that is none.
  var imageSize: Int { get }
  /// The width of such a picture; nil for a square.
  var imageWidth: Int? { get }
  var patchSize: Int { get }
  /// The layers.
  var encoder: TransformerConfig { get }
  /// Which hidden states are given as features.
  var featureLayers: FeatureLayers { get }
  /// Layers that it has at least: 0 where the embeddings may be its features.
  var leastLayers: Int { get }
}

extension PatchTransformerConfig {
  package var featureLayers: FeatureLayers { .last }
  package var leastLayers: Int { 1 }
  package var imageWidth: Int? { nil }
  /// Columns of a feature.
  var featureColumns: Int { encoder.width * featureLayers.count }

  /// Patches along a side of the position table; the picture's last pixels may fill none.
  package var tableSide: Int { imageSize / max(1, patchSize) }
  /// Patches down and across the position table.
  package var tableGrid: MapExtent {
    MapExtent(height: tableSide, width: (imageWidth ?? imageSize) / max(1, patchSize))
  }
  /// The picture that the position table is for, as its side or as its width and height.
  package var trainedSize: String { imageWidth.map { "\($0)×\(imageSize)" } ?? "\(imageSize)" }
  /// Values of one patch.
  package var patchInputs: Int { 3 * patchSize * patchSize }

  /// Patches of a picture; rows and columns of pixels that fill none are dropped.
  package func patches(height: Int, width: Int) -> MapExtent {
    MapExtent(height: height / patchSize, width: width / patchSize)
  }

  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    patches(height: height, width: width)
  }

  /// The fields of a container's configuration that all such towers have, first.
  var sizesJSON: JSONObject {
    var object = JSONObject()
    object.set("image_size", .int(imageSize))
    if let imageWidth { object.set("image_width", .int(imageWidth)) }
    object.set("patch_size", .int(patchSize))
    object.set("encoder", encoder.json)
    if let layers = featureLayers.json { object.set("feature_layers", layers) }
    return object
  }

  /// Checks these fields, so that later arithmetic on the numbers cannot overflow.
  func validateSizes(_ place: String) throws(ModelError) {
    try encoder.validate(place + ".encoder", least: leastLayers)
    try featureLayers.validate(place + ".feature_layers", layers: encoder.layers)
    try ModelError.check("\(place).patch_size", patchSize, 1...128)
    try ModelError.check("\(place).image_size", imageSize, patchSize...16_384)
    if let imageWidth {
      try ModelError.check("\(place).image_width", imageWidth, patchSize...16_384)
    }
  }
}

extension ConfigFields {
  /// Which hidden states are features; absent where the last is the only one.
  func featureLayers() throws(ModelError) -> FeatureLayers {
    try FeatureLayers(self, "feature_layers")
  }

  /// The width of a picture that is no square; absent for one that is.
  func imageWidth() throws(ModelError) -> Int? { try statedInt("image_width") }

  /// Reads what `sizesJSON` wrote, but for `featureLayers` and `imageWidth`, which not all have.
  func patchSizes() throws(ModelError) -> (
    imageSize: Int, patchSize: Int, encoder: TransformerConfig
  ) {
    (
      try int("image_size"), try int("patch_size"), try TransformerConfig(try object("encoder"))
    )
  }
}
