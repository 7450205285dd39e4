import VLMTensor

extension Preprocessing {
  /// Reads a checkpoint's own configuration: `preprocessor_config.json` of Hugging Face's ConvNeXt
  /// or CLIP processors, timm's `config.json` or `pretrained_cfg`, or `open_clip_config.json`.
  ///
  /// Padding to a square is no part of any of them; LLaVA's model configuration asks for it, see
  /// `paddedWithMean`.
  ///
  /// - Parameter color: what the model sees; the configurations count its channels at most.
  package init(
    checkpointConfig json: JSONValue, name: String, color: ColorMode = .rgb
  ) throws(PreprocessingError) {
    let fields = PreprocessingFields(json: json, name: name, color: color)
    if json["pretrained_cfg"]?.objectValue != nil || json["input_size"] != nil {
      self = try .timm(json, name: name, color: color)
    } else if json["preprocess_cfg"]?.objectValue != nil {
      self = try .openCLIP(json, name: name)
    } else if fields.processor.contains("ConvNext")
      || fields.processor.isEmpty && json["crop_pct"] != nil
    {
      self = try .convNeXt(fields)
    } else if fields.processor.hasPrefix("CLIP")
      || fields.processor.isEmpty && json["crop_size"] != nil
    {
      self = try .clip(fields)
    } else if fields.processor.isEmpty {
      throw PreprocessingError(name: name, problem: .unknownKind)
    } else {
      throw fields.failure(
        fields.processorKey, "a ConvNeXt or CLIP image processor, or timm's configuration")
    }
    self = inColor(color)
  }

  /// timm's evaluation transform for `input_size`, `interpolation`, `crop_pct`, `crop_mode`,
  /// `mean`, `std`; what is missing has timm's defaults.
  package static func timm(
    _ json: JSONValue, name: String, color: ColorMode = .rgb
  ) throws(PreprocessingError) -> Preprocessing {
    var config = json
    if let inner = json["pretrained_cfg"], inner.objectValue != nil { config = inner }
    let fields = PreprocessingFields(json: config, name: name, color: color)
    // A model made for other channels than the one that it was derived from often has still its 3.
    guard let size = fields.member("input_size")?.arrayValue, size.count == 3,
      size[0].intValue == 3 || size[0].intValue == color.channels
    else { throw fields.failure("input_size", "[\(color.channels), height, width]") }
    let height = try fields.side(size[1], "input_size")
    let width = try fields.side(size[2], "input_size")
    let fraction = try fields.positive("crop_pct", default: 0.875)
    let scaledHeight = try fields.scaled(height, by: fraction, "crop_pct")
    let scaledWidth = try fields.scaled(width, by: fraction, "crop_pct")
    let resize: Resize
    switch try fields.string("crop_mode", default: "center") {
    case "center" where scaledWidth == scaledHeight: resize = .shortestEdge(scaledHeight)
    case "squash": resize = .exact(width: scaledWidth, height: scaledHeight)
    case "center": throw fields.failure("input_size", "a square, for crop_mode 'center'")
    default: throw fields.failure("crop_mode", "'center' or 'squash'")
    }
    return Preprocessing(
      resize: resize, filter: try fields.filter("interpolation", default: .bicubic),
      crop: Crop(width: width, height: height, rounding: .halfEven), rescale: .dividedBy255,
      normalization: try fields.normalization(
        mean: "mean", deviation: "std", default: .imageNet))
  }

  /// open_clip's evaluation transform: the image size is `model_cfg.vision_cfg.image_size`.
  static func openCLIP(
    _ json: JSONValue, name: String
  ) throws(PreprocessingError) -> Preprocessing {
    let fields = PreprocessingFields(json: json["preprocess_cfg"] ?? .null, name: name)
    let vision = PreprocessingFields(
      json: json["model_cfg"]?["vision_cfg"] ?? .null, name: name)
    let size = fields.member("size") ?? vision.member("image_size")
    let width: Int
    let height: Int
    if let sides = size?.arrayValue, sides.count == 2 {
      height = try vision.side(sides[0], "image_size")
      width = try vision.side(sides[1], "image_size")
    } else {
      height = try vision.side(size, "image_size")
      width = height
    }
    let resize: Resize
    switch try fields.string("resize_mode", default: "shortest") {
    case "shortest" where width == height: resize = .shortestEdge(height)
    case "squash": resize = .exact(width: width, height: height)
    case "shortest": throw vision.failure("image_size", "a square, for resize_mode 'shortest'")
    default: throw fields.failure("resize_mode", "'shortest' or 'squash'")
    }
    return Preprocessing(
      resize: resize, filter: try fields.filter("interpolation", default: .bicubic),
      crop: Crop(width: width, height: height, rounding: .halfEven), rescale: .dividedBy255,
      normalization: try fields.normalization(mean: "mean", deviation: "std", default: .clip))
  }

  /// `ConvNextImageProcessor`: below 384 the short side goes to `int(size / crop_pct)` and the
  /// middle is kept; from 384 on the picture is squashed.
  private static func convNeXt(
    _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing {
    let value = fields.member("size")
    let size =
      try value.map { value throws(PreprocessingError) in
        try fields.side(value["shortest_edge"] ?? value, "size")
      } ?? 384
    var resize: Resize?
    var crop: Crop?
    if try fields.bool("do_resize", default: true) {
      if size < 384 {
        let fraction = try fields.positive("crop_pct", default: 224.0 / 256.0)
        resize = .shortestEdge(try fields.scaled(size, by: fraction, "crop_pct"))
        crop = Crop(width: size, height: size, rounding: .floor)
      } else {
        resize = .exact(width: size, height: size)
      }
    }
    return Preprocessing(
      resize: resize, filter: try fields.filter("resample", default: .bilinear), crop: crop,
      rescale: try fields.rescale(), normalization: try fields.normalization(default: .half))
  }

  /// `CLIPImageProcessor`.
  private static func clip(
    _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing {
    var resize: Resize?
    if try fields.bool("do_resize", default: true) {
      switch fields.member("size") {
      case nil: resize = .shortestEdge(224)
      case let size? where size["height"] != nil || size["width"] != nil:
        resize = .exact(
          width: try fields.side(size["width"], "size"),
          height: try fields.side(size["height"], "size"))
      case let size?:
        resize = .shortestEdge(try fields.side(size["shortest_edge"] ?? size, "size"))
      }
    }
    var crop: Crop?
    if try fields.bool("do_center_crop", default: true) {
      let size = fields.member("crop_size")
      crop = Crop(
        width: try size.map { value throws(PreprocessingError) in
          try fields.side(value["width"] ?? value, "crop_size")
        } ?? 224,
        height: try size.map { value throws(PreprocessingError) in
          try fields.side(value["height"] ?? value, "crop_size")
        } ?? 224,
        rounding: .floor)
    }
    return Preprocessing(
      resize: resize, filter: try fields.filter("resample", default: .bicubic), crop: crop,
      rescale: try fields.rescale(), normalization: try fields.normalization(default: .clip))
  }
}

extension PreprocessingFields {
  fileprivate var processorKey: String {
    member("image_processor_type") != nil ? "image_processor_type" : "feature_extractor_type"
  }

  /// The processor's class name, empty when none is given.
  fileprivate var processor: String { member(processorKey)?.stringValue ?? "" }

  /// Python's `int(size / fraction)`.
  fileprivate func scaled(
    _ size: Int, by fraction: Double, _ key: String
  ) throws(PreprocessingError) -> Int {
    let scaled = (Double(size) / fraction).rounded(.down)
    guard scaled >= 1, scaled <= Double(Self.sides.upperBound) else {
      throw failure(key, "a fraction that leaves a size of 1 to \(Self.sides.upperBound)")
    }
    return Int(scaled)
  }

  fileprivate func rescale() throws(PreprocessingError) -> Preprocessing.Rescale {
    guard try bool("do_rescale", default: true) else { return .none }
    return .multiplied(try positive("rescale_factor", default: 1.0 / 255.0))
  }

  fileprivate func normalization(
    default fallback: Preprocessing.Normalization
  ) throws(PreprocessingError) -> Preprocessing.Normalization? {
    guard try bool("do_normalize", default: true) else { return nil }
    return try normalization(mean: "image_mean", deviation: "image_std", default: fallback)
  }
}
