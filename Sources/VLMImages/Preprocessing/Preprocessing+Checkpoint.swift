import VLMFoundation

extension Preprocessing {
  /// Reads a checkpoint's preprocessing configuration: `preprocessor_config.json`, or the image
  /// part of `processor_config.json`, of a transformers image processor; timm's `config.json` or
  /// `pretrained_cfg`; `open_clip_config.json`; or the attributes of torchvision's
  /// `ImageClassification`.
  ///
  /// LLaVA's model configuration may also request padding to a square, see `paddedWithMean`.
  ///
  /// - Parameters:
  ///   - model: the model's `model_type`, which determines the processor if the configuration names
  ///     none.
  ///   - color: the model's input channels; the configurations state at most their number.
  package init(
    checkpointConfig json: JSONValue, name: String, model: String? = nil, color: ColorMode = .rgb
  ) throws(PreprocessingError) {
    let fields = PreprocessingFields(json: json, name: name, color: color)
    if let part = json["image_processor"], part.objectValue != nil {
      self = try Preprocessing(checkpointConfig: part, name: name, model: model, color: color)
      return
    }
    let isUntyped = fields.processor.isEmpty
    if json["pretrained_cfg"]?.objectValue != nil || json["input_size"] != nil {
      self = try .timm(json, name: name, color: color)
    } else if json["preprocess_cfg"]?.objectValue != nil {
      self = try .openCLIP(json, name: name)
    } else if let kind = ImageProcessorClass.named(fields.processor)
      ?? (isUntyped ? model.flatMap(ImageProcessorClass.ofModel) : nil)
    {
      self = try kind.steps(fields)
    } else if !isUntyped {
      throw PreprocessingError(
        name: name, problem: .unknownProcessor(key: fields.processorKey, found: fields.processor))
    } else if json["resize_size"] != nil {
      self = try .torchvision(fields)
    } else if let kind = ImageProcessorClass.named(
      json["crop_pct"] != nil
        ? "ConvNextImageProcessor" : json["crop_size"] != nil ? "CLIPImageProcessor" : "")
    {
      self = try kind.steps(fields)
    } else {
      throw PreprocessingError(name: name, problem: .unknownKind)
    }
    self = inColor(color)
  }

  /// timm's evaluation transform for `input_size`, `interpolation`, `crop_pct`, `crop_mode`,
  /// `mean`, `std`, with timm's defaults. A model that takes pictures of one size alone is shown that
  /// which it was built for, `model_args.img_size`, as timm's `_parse_model_cfg` has it.
  package static func timm(
    _ json: JSONValue, name: String, color: ColorMode = .rgb
  ) throws(PreprocessingError) -> Preprocessing {
    var config = json
    if let inner = json["pretrained_cfg"], inner.objectValue != nil { config = inner }
    let fields = PreprocessingFields(json: config, name: name, color: color)
    // Models adapted to other channels often still state 3.
    guard let size = fields.member("input_size")?.arrayValue, size.count == 3,
      size[0].intValue == 3 || size[0].intValue == color.channels
    else { throw fields.failure("input_size", "[\(color.channels), height, width]") }
    var (key, sides) = ("input_size", Array(size[1...]))
    if let built = json["model_args"], let size = built["img_size"], size != .null,
      config["fixed_input_size"] == true, built["dynamic_img_size"] != true,
      built["strict_img_size"] != false
    {
      (key, sides) = ("img_size", size.arrayValue ?? [size, size])
    }
    guard sides.count == 2 else { throw fields.failure(key, "a side, or a height and a width") }
    let height = try fields.side(sides[0], key)
    let width = try fields.side(sides[1], key)
    let fraction = try fields.share("crop_pct", default: 0.875)
    let scaledHeight = try fields.scaled(height, by: fraction, "crop_pct")
    let scaledWidth = try fields.scaled(width, by: fraction, "crop_pct")
    var result = Preprocessing(
      resize: nil, filter: try fields.filter("interpolation", default: .bicubic),
      rescale: .dividedBy255,
      normalization: try fields.normalization(
        mean: "mean", deviation: "std", default: .imageNet))
    result.setCrop(
      try fields.cropMode(), scaled: (scaledWidth, scaledHeight), kept: (width, height))
    return result
  }

  /// timm's `transforms_imagenet_eval`, its three ways of coming to a size.
  mutating func setCrop(
    _ mode: CropMode, scaled: (width: Int, height: Int), kept: (width: Int, height: Int)
  ) {
    var fill = RGB.black
    switch mode {
    case .center where scaled.width == scaled.height: resize = .shortestEdge(scaled.height)
    case .center: resize = .covering(width: scaled.width, height: scaled.height)
    case .squash: resize = .exact(width: scaled.width, height: scaled.height)
    case .border:
      resize = .within(width: scaled.width, height: scaled.height)
      let mean = (normalization ?? .imageNet).mean.map { value in
        UInt8(max(0, min(255, (value * 255).rounded(.toNearestOrEven))))
      }
      if mean.count == 3 { fill = RGB(mean[0], mean[1], mean[2]) }
    }
    crop = Crop(width: kept.width, height: kept.height, rounding: .halfEven, fill: fill)
  }

  /// timm's `crop_mode`: what becomes of a picture of other proportions than the input's.
  enum CropMode: String {
    /// The middle of it, as large as fits.
    case center
    /// All of it, squeezed.
    case squash
    /// All of it, within a border of the mean colour.
    case border
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

  /// `torchvision.transforms._presets.ImageClassification`.
  private static func torchvision(
    _ fields: PreprocessingFields
  ) throws(PreprocessingError) -> Preprocessing {
    func side(_ key: String, default fallback: Int) throws(PreprocessingError) -> Int {
      guard let stated = fields.member(key) else { return fallback }
      let list = stated.arrayValue ?? [stated]
      return try fields.side(list.count == 1 ? list[0] : stated, key)
    }
    return .torchvision(
      resize: try side("resize_size", default: 256), crop: try side("crop_size", default: 224),
      filter: try fields.filter("interpolation", default: .bilinear),
      normalization: try fields.normalization(mean: "mean", deviation: "std", default: .imageNet))
  }
}

extension PreprocessingFields {
  var processorKey: String {
    member("image_processor_type") != nil ? "image_processor_type" : "feature_extractor_type"
  }

  /// The processor's class name; empty if none is stated.
  var processor: String { member(processorKey)?.stringValue ?? "" }

  /// timm's `crop_mode`. The colour around a picture is known for three channels.
  func cropMode() throws(PreprocessingError) -> Preprocessing.CropMode {
    let key = "crop_mode"
    let mode = Preprocessing.CropMode(rawValue: try string(key, default: "center"))
    guard let mode else { throw failure(key, "'center', 'squash' or 'border'") }
    guard mode != .border || color == .rgb else {
      throw failure(key, "'center' or 'squash', for other input than colours")
    }
    return mode
  }

  /// Python's `int(size / fraction)`.
  func scaled(
    _ size: Int, by fraction: Double, _ key: String
  ) throws(PreprocessingError) -> Int {
    let scaled = (Double(size) / fraction).rounded(.down)
    guard scaled >= 1, scaled <= Double(Self.sides.upperBound) else {
      throw failure(key, "a fraction that leaves a size of 1 to \(Self.sides.upperBound)")
    }
    return Int(scaled)
  }

  func rescale() throws(PreprocessingError) -> Preprocessing.Rescale {
    guard try bool("do_rescale", default: true) else { return .none }
    return .multiplied(try positive("rescale_factor", default: 1.0 / 255.0))
  }
}
