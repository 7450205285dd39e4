import VLMFoundation
import VLMTensor

/// Geometry of LLaVA-HR's vision tower: a vision transformer that looks at a small copy of the
/// image, and a ConvNeXt that looks at all of it and is mixed into the transformer after each of its
/// first three quarters.
///
/// Luo et al., "Feast Your Eyes: Mixture-of-Resolution Adaptation for Multimodal Large Language
/// Models". Where paper and code differ this follows the code: the gate is one number per image
/// and adapter, and sees the sum of the fast branch.
package struct MultiResolutionConfig: Sendable, Equatable {
  /// Side of the square input.
  package var imageSize: Int
  /// The fast path: no class token.
  package var fast: ViTConfig
  /// The slow path: a trunk without a head.
  package var slow: ConvNeXtConfig
  /// Whether there are adapters; a model whose vision is frozen fuses only at the end.
  package var usesAdapters: Bool

  package init(
    imageSize: Int, fast: ViTConfig, slow: ConvNeXtConfig, usesAdapters: Bool
  ) {
    self.imageSize = imageSize
    self.fast = fast
    self.slow = slow
    self.usesAdapters = usesAdapters
  }

  /// Channels of the tokens.
  package var width: Int { fast.encoder.width }

  /// One fewer than the quarters of the transformer.
  package static let adapterCount = 3

  /// Layers between one adapter and the next.
  var layersPerQuarter: Int { fast.encoder.layers / (Self.adapterCount + 1) }

  /// Visual tokens of the stated image size.
  package func tokenCount() throws(ModelError) -> Int {
    try MultiResolutionGrids(self, height: imageSize, width: imageSize).fast.count
  }

  package func validate() throws(ModelError) {
    let place = "multi_resolution"
    try fast.validate(place + ".fast")
    try fast.encoder.validate(place + ".fast.encoder")
    try slow.validate()
    try ModelError.check("\(place).image_size", imageSize, 1...16_384)
    try ModelError.check("\(place).slow.input_channels", slow.inputChannels, 3...3)
    guard !fast.usesClassToken, fast.feature == .patches else {
      throw ModelError(
        .configuration(
          field: "\(place).fast.class_token", found: "true", expected: "false"))
    }
    if usesAdapters {
      let parts = Self.adapterCount + 1
      guard fast.encoder.layers % parts == 0 else {
        throw ModelError(
          .configuration(
            field: "\(place).fast.encoder.layers", found: "\(fast.encoder.layers)",
            expected: "a multiple of \(parts), with an adapter between each two quarters"))
      }
      guard fast.encoder.width % 2 == 0 else {
        throw ModelError(
          .configuration(
            field: "\(place).fast.encoder.width", found: "\(fast.encoder.width)",
            expected: "an even number"))
      }
    }
    _ = try tokenCount()
  }

  package var json: JSONValue {
    [
      "image_size": .int(imageSize), "fast": fast.json, "slow": slow.json,
      "adapters": .bool(usesAdapters),
    ]
  }

  /// Reads what `json` wrote; every field is required and checked.
  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "multi_resolution")
    imageSize = try fields.int("image_size")
    usesAdapters = try fields.bool("adapters")
    fast = try ViTConfig(json: json["fast"] ?? .null, path: "multi_resolution.fast")
    slow = try ConvNeXtConfig(json: json["slow"] ?? .null)
    try validate()
  }
}

/// The two paths' grids for one size of image, and how the slow one is fitted to the fast one.
struct MultiResolutionGrids: Sendable {
  enum Fit: Sendable, Equatable {
    case same
    /// Corner-aligned bilinear.
    case enlarge
    /// Means of `ratio × ratio`.
    case shrink(ratio: Int)
  }

  /// Side of the small copy, in pixels.
  let fastPixels: Int
  let fast: MapExtent
  let slow: MapExtent
  let fit: Fit

  /// - Throws: `ModelError` for images that are not square, or whose grids do not fit: the count
  ///   of tokens of one must be a multiple of the other's.
  init(_ config: MultiResolutionConfig, height: Int, width: Int) throws(ModelError) {
    guard height == width, height > 0, height <= 1 << 16 else {
      throw ModelError(.image(found: "\(width)×\(height) pixels", expected: "a square"))
    }
    // The fast path's patches are to be as many as the slow path's pixels, 32 pixels wide, and at
    // least those of CLIP's own size: the code's numbers, whatever the tower's patch is.
    fastPixels = max(height * 14 / 32, 336)
    fast = config.fast.patches(height: fastPixels, width: fastPixels)
    var side = height
    for convolution in config.slow.stemConvolutions {
      side = convolution.geometry.outputExtent(side)
    }
    for stage in config.slow.stages {
      if let geometry = stage.downsample { side = geometry.outputExtent(side) }
    }
    slow = MapExtent(height: side, width: side)
    guard side > 0, fast.height > 0 else {
      throw ModelError(
        .image(found: "\(width)×\(height) pixels", expected: "an image that fills the strides"))
    }
    if fast == slow {
      fit = .same
    } else if fast.count % slow.count == 0 {
      fit = .enlarge
    } else if slow.count % fast.count == 0, slow.height % fast.height == 0 {
      fit = .shrink(ratio: slow.height / fast.height)
    } else {
      throw ModelError(
        .image(
          found: "\(width)×\(height) pixels, \(fast.count) tokens of low and \(slow.count) of "
            + "high resolution",
          expected: "counts of which one is a multiple of the other, as at 384, 768, 1024 or 1536"))
    }
  }
}
