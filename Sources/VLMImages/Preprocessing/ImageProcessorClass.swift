import VLMFoundation

/// The defaults of a transformers image processor class, and how it interprets sizes. The values
/// are those of transformers 5.
struct ImageProcessorClass {
  enum Size {
    case shortestEdge(Int)
    case square(Int)
  }

  /// How the configured size determines the resize target.
  enum Sizing {
    case plain
    /// Below 384, the short side is resized to `int(size / crop_pct)` and the centre is cropped;
    /// from 384 on, both sides are resized to the size.
    case convNeXt
    /// The short side is resized to `int(256 / 224 * size)`.
    case levit
    /// Both sides are resized to `int(size / crop_pct)`; for a square, the short side.
    case poolFormer
    /// The picture becomes tiles of `max_image_size`, see `ImageSplitting`.
    case splitting
    /// The picture becomes `max_num_patches` patches of `patch_size` at most.
    case patches
  }

  let size: Size
  /// Whether a single number as size means both sides.
  var squaresNumbers = true
  var filter = Resampling.bicubic
  var crop: Int?
  var cropsUnlessTold = true
  let normalization: Preprocessing.Normalization
  var sizing = Sizing.plain
  /// Whether `do_pad` pads the image to a square first.
  var padsToSquare = false
  /// How a picture is cut into tiles, where the class does that.
  var tiles: AnyResolution?
  /// Whether the class has EfficientNet's `rescale_offset` and `include_top`.
  var hasOffset = false

  /// The steps of CLIP's processor, shared by Bit's.
  private static let clip = ImageProcessorClass(
    size: .shortestEdge(224), squaresNumbers: false, crop: 224, normalization: .clip)
  private static let idefics3 = ImageProcessorClass(
    size: .square(364), filter: .lanczos, normalization: .half, sizing: .splitting)
  private static let llavaNext = ImageProcessorClass(
    size: .shortestEdge(224), squaresNumbers: false, crop: 224, normalization: .clip,
    tiles: AnyResolution(
      sizes: [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)].map {
        PictureExtent(height: $0.0, width: $0.1)
      }))
  private static let llavaOneVision = ImageProcessorClass(
    size: .square(384), squaresNumbers: false, normalization: .clip,
    tiles: AnyResolution(
      sizes: (1...6).flatMap { rows in
        (1...6).map { PictureExtent(height: 384 * rows, width: 384 * $0) }
      }, padsSeveral: true))
  private static let mobileNet = ImageProcessorClass(
    size: .shortestEdge(256), squaresNumbers: false, filter: .bilinear, crop: 224,
    normalization: .half)

  /// The classes by name, without `ImageProcessor`.
  private static let classes: [String: ImageProcessorClass] = [
    "Beit": .init(
      size: .square(224), crop: 224, cropsUnlessTold: false, normalization: .half),
    "Bit": clip,
    "Blip": .init(size: .square(384), normalization: .clip),
    "CLIP": clip,
    "ChineseCLIP": clip,
    "ConvNext": .init(
      size: .shortestEdge(384), squaresNumbers: false, normalization: .half, sizing: .convNeXt),
    // Its own implementation resizes floats, not 8-bit samples; see docs/images.md.
    "DINOv3ViT": .init(size: .square(224), filter: .bilinear, normalization: .imageNet),
    "DeiT": .init(size: .square(256), crop: 224, normalization: .half),
    "EfficientNet": .init(
      size: .square(346), crop: 289, cropsUnlessTold: false, normalization: .half, hasOffset: true),
    "Idefics3": idefics3,
    "Levit": .init(
      size: .shortestEdge(224), squaresNumbers: false, crop: 224, normalization: .imageNet,
      sizing: .levit),
    "Llava": .init(
      size: .shortestEdge(224), squaresNumbers: false, crop: 224, normalization: .clip,
      padsToSquare: true),
    "LlavaNext": llavaNext,
    "LlavaOnevision": llavaOneVision,
    "MobileNetV1": mobileNet,
    "MobileNetV2": mobileNet,
    "PoolFormer": .init(
      size: .shortestEdge(224), squaresNumbers: false, crop: 224, normalization: .imageNet,
      sizing: .poolFormer),
    "Pvt": .init(size: .square(224), normalization: .imageNet),
    "SmolVLM": idefics3,
    "Siglip": .init(size: .square(224), squaresNumbers: false, normalization: .half),
    "Siglip2": .init(
      size: .square(16), filter: .bilinear, normalization: .half, sizing: .patches),
    "ViT": .init(size: .square(224), filter: .bilinear, normalization: .half),
  ]

  /// The classes' names, for messages.
  static let names = classes.keys.sorted()

  /// The class called `name`, in any generation or backend: `ViTFeatureExtractor`,
  /// `ViTImageProcessor`, `ViTImageProcessorFast`, `ViTImageProcessorPil`; nil if unknown.
  static func named(_ name: String) -> ImageProcessorClass? {
    var base = Substring(name)
    for suffix in ["Fast", "Pil"] where base.hasSuffix(suffix) {
      base = base.dropLast(suffix.count)
    }
    for suffix in ["ImageProcessor", "FeatureExtractor"] where base.hasSuffix(suffix) {
      return classes[String(base.dropLast(suffix.count))]
    }
    return nil
  }

  /// The class that transformers uses for this `model_type` if the configuration names none; nil if
  /// unknown.
  static func ofModel(_ type: String) -> ImageProcessorClass? {
    switch type {
    case "convnext", "convnextv2": classes["ConvNext"]
    case "clip", "clip_vision_model": clip
    case "chinese_clip": classes["ChineseCLIP"]
    case "dinov2", "dinov2_with_registers": clip
    case "dinov3_convnext", "dinov3_vit": classes["DINOv3ViT"]
    case "vit": classes["ViT"]
    case "deit": classes["DeiT"]
    case "llava": classes["Llava"]
    case "idefics3", "smolvlm": idefics3
    case "siglip", "siglip_vision_model": classes["Siglip"]
    case "siglip2", "siglip2_vision_model": classes["Siglip2"]
    case "llava_next": llavaNext
    case "llava_onevision": llavaOneVision
    default: nil
    }
  }
}

extension ImageProcessorClass {
  /// The steps of a configuration.
  func steps(_ fields: PreprocessingFields) throws(PreprocessingError) -> Preprocessing {
    if sizing == .splitting { return try split(fields) }
    if sizing == .patches { return try patches(fields) }
    var resize: Preprocessing.Resize?
    var crop: Preprocessing.Crop?
    if try fields.bool("do_resize", default: true) {
      var stated = try size(fields)
      // Classes with a resize rule of their own only use the short side.
      if sizing != .plain, case .bounded(let short, _) = stated { stated = .shortestEdge(short) }
      switch (sizing, stated) {
      case (.plain, _), (.levit, .exact): resize = stated
      case (.convNeXt, .shortestEdge(let side)) where side < 384:
        let share = try fields.share("crop_pct", default: 224.0 / 256.0)
        resize = .shortestEdge(try fields.scaled(side, by: share, "crop_pct"))
        crop = .init(width: side, height: side, rounding: .floor)
      case (.convNeXt, .shortestEdge(let side)): resize = .exact(width: side, height: side)
      case (.levit, .shortestEdge(let side)):
        resize = .shortestEdge(
          try fields.side(.int(Int(256.0 / 224.0 * Double(side))), "size"))
      case (.poolFormer, .shortestEdge(let side)):
        resize = .shortestEdge(try shared(side, fields))
      case (.poolFormer, .exact(let width, let height)):
        let (width, height) = (try shared(width, fields), try shared(height, fields))
        resize = width == height ? .shortestEdge(width) : .exact(width: width, height: height)
      default: throw fields.failure("size", "a number, or \"shortest_edge\" alone")
      }
    }
    if try fields.bool("do_center_crop", default: self.crop != nil && cropsUnlessTold) {
      let own = try self.crop(fields)
      guard crop == nil || crop == own else {
        throw fields.failure("crop_size", "the size, to which it is cropped before")
      }
      crop = own
    }
    let pads = try fields.bool("do_pad", default: false)
    // Other classes pad the images of a batch to one size, which does not affect a single image.
    guard padsToSquare || !pads || fields.member("pad_size") == nil else {
      throw fields.failure("pad_size", "none: pictures are not padded here")
    }
    let steps = Preprocessing(
      resize: resize, filter: try fields.filter("resample", default: filter), crop: crop,
      rescale: try fields.rescale(), normalization: try numbers(fields))
    if let tiles { return try tiled(steps, tiles, fields) }
    return padsToSquare && pads ? steps.paddedWithMean() : steps
  }

  /// Tiles of `max_image_size`. Nothing is padded, as all tiles are whole.
  private func split(_ fields: PreprocessingFields) throws(PreprocessingError) -> Preprocessing {
    guard try fields.bool("do_resize", default: true) else {
      throw fields.failure("do_resize", "true: tiles are made of pictures of one size")
    }
    let edge = fields.member("size")
    guard edge == nil || edge?["longest_edge"] != nil else {
      throw fields.failure("size", "\"longest_edge\" alone")
    }
    let tile = try fields.side(
      fields.member("max_image_size").map { $0["longest_edge"] ?? .null } ?? .int(364),
      "max_image_size")
    var steps = Preprocessing(
      resize: .exact(width: tile, height: tile),
      filter: try fields.filter("resample", default: filter), rescale: try fields.rescale(),
      normalization: try numbers(fields))
    let splitting = ImageSplitting(
      longestEdge: try fields.side(edge?["longest_edge"] ?? .int(4 * 364), "size"),
      splits: try fields.bool("do_image_splitting", default: true),
      film: try fields.member("video_sampling") == nil
        ? nil : FrameSampling(checkpointConfig: fields.json, tile: tile, name: fields.name))
    steps.tiling = try Tiling(splitting, of: steps, fields, key: "size")
    return steps
  }

  /// Patches that fill a picture of any proportions.
  private func patches(_ fields: PreprocessingFields) throws(PreprocessingError) -> Preprocessing {
    guard try fields.bool("do_resize", default: true) else {
      throw fields.failure("do_resize", "true: the number of patches is bounded")
    }
    let side = try fields.side(fields.member("patch_size") ?? .int(16), "patch_size")
    let count = try fields.side(fields.member("max_num_patches") ?? .int(256), "max_num_patches")
    return Preprocessing(
      resize: .patches(side: side, count: count),
      filter: try fields.filter("resample", default: filter), rescale: try fields.rescale(),
      normalization: try numbers(fields))
  }

  private func tiled(
    _ steps: Preprocessing, _ tiles: AnyResolution, _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing {
    let key = "image_grid_pinpoints"
    var candidates = tiles
    if fields.member(key) != nil { candidates.sizes = try Tiling.sizes(fields, key) }
    return try steps.tiled(candidates, fields, key: key)
  }

  private func shared(_ side: Int, _ fields: PreprocessingFields) throws(PreprocessingError) -> Int
  {
    try fields.scaled(side, by: try fields.share("crop_pct", default: 0.9), "crop_pct")
  }

  private func size(
    _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing.Resize {
    guard let stated = fields.member("size") else {
      switch size {
      case .shortestEdge(let side): return .shortestEdge(side)
      case .square(let side): return .exact(width: side, height: side)
      }
    }
    if let sides = stated.arrayValue, sides.count == 2 {
      return .exact(
        width: try fields.side(sides[1], "size"), height: try fields.side(sides[0], "size"))
    }
    if stated["height"] != nil || stated["width"] != nil {
      return .exact(
        width: try fields.side(stated["width"], "size"),
        height: try fields.side(stated["height"], "size"))
    }
    let short = try fields.side(stated["shortest_edge"] ?? stated, "size")
    if let long = stated["longest_edge"], !long.isNull {
      return .bounded(short: short, long: try fields.side(long, "size"))
    }
    let isNumber = stated.objectValue == nil
    return isNumber && squaresNumbers ? .exact(width: short, height: short) : .shortestEdge(short)
  }

  private func crop(_ fields: PreprocessingFields) throws(PreprocessingError) -> Preprocessing.Crop
  {
    let stated = fields.member("crop_size") ?? crop.map { .int($0) }
    let sides = stated?.arrayValue.flatMap { $0.count == 2 ? $0 : nil }
    return .init(
      width: try fields.side(sides?[1] ?? stated?["width"] ?? stated, "crop_size"),
      height: try fields.side(sides?[0] ?? stated?["height"] ?? stated, "crop_size"),
      rounding: .floor)
  }

  /// Mean and standard deviation. EfficientNet's extra steps are folded in: its offset of -1 adds 1
  /// to the mean, its second division by the deviation squares the deviation.
  private func numbers(
    _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing.Normalization? {
    let stated = try fields.normalization(
      mean: "image_mean", deviation: "image_std", default: normalization)
    let normalizes = try fields.bool("do_normalize", default: true)
    guard hasOffset else { return normalizes ? stated : nil }
    let rescales = try fields.bool("do_rescale", default: true)
    let offset = try fields.bool("rescale_offset", default: false) && rescales ? 1.0 : 0
    let again = try fields.bool("include_top", default: true)
    guard normalizes || again || offset > 0 else { return nil }
    return .init(
      mean: stated.mean.map { (normalizes ? $0 : 0) + offset },
      deviation: stated.deviation.map { (normalizes ? $0 : 1) * (again ? $0 : 1) })
  }
}
