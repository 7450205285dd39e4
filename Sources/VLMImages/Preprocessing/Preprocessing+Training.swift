import VLMFoundation

extension Preprocessing {
  /// The evaluation steps implied by a training script's settings.
  ///
  /// With `val_resize_size` or `val_crop_size`, those of torchvision's
  /// `references/classification/train.py` with its defaults; otherwise timm's `resolve_data_config`
  /// for `img_size`, `input_size`, `crop_pct`, `crop_mode`, `interpolation`, `mean` and `std`.
  ///
  /// - Parameters:
  ///   - settings: an object with some of those; other members are ignored.
  ///   - base: the defaults: a resized short side and a crop.
  ///   - color: the model's input channels.
  package static func trained(
    _ settings: JSONValue, name: String, over base: Preprocessing, color: ColorMode
  ) throws(PreprocessingError) -> Preprocessing {
    let fields = PreprocessingFields(json: settings, name: name, color: color)
    var result = base
    for key in ["mean", "std"] {
      guard let stated = fields.member(key) else { continue }
      // A single number often belongs to the model's target, not to its input.
      guard let numbers = stated.arrayValue ?? (color == .gray ? [stated] : nil) else {
        throw fields.failure(key, "a number per channel")
      }
      // Larger values are meant for samples from 0 to 255.
      guard numbers.allSatisfy({ abs($0.doubleValue ?? 0) <= 1 }) else {
        throw fields.failure(key, "numbers up to 1, for samples from 0 to 1")
      }
    }
    let normalization = try fields.normalization(
      mean: "mean", deviation: "std", default: base.normalization ?? .imageNet)
    let resizeSize = fields.member("val_resize_size")
    let cropSize = fields.member("val_crop_size")
    if resizeSize != nil || cropSize != nil {
      result = .torchvision(
        resize: try fields.side(resizeSize ?? .int(256), "val_resize_size"),
        crop: try fields.side(cropSize ?? .int(224), "val_crop_size"))
    } else {
      // A border has the mean's colour.
      result.normalization = normalization
      try result.resize(as: fields)
    }
    result.filter = try fields.filter("interpolation", default: result.filter)
    result.normalization = normalization
    return result.inColor(color)
  }

  /// timm's rule: the crop has the model's size, and the image is resized to that size divided by
  /// `crop_pct`.
  private mutating func resize(as fields: PreprocessingFields) throws(PreprocessingError) {
    guard case .shortestEdge(let baseSide) = resize, let baseCrop = crop else { return }
    var (height, width) = (baseCrop.height, baseCrop.width)
    for key in ["image_size", "img_size", "input_size"] {
      guard let size = fields.member(key) else { continue }
      let list = size.arrayValue ?? [size]
      // `input_size` starts with the channels.
      let sides = list.count == 3 ? Array(list.dropFirst()) : list
      guard (1...2).contains(sides.count),
        list.count < 3 || list[0].intValue == 3 || list[0].intValue == fields.color.channels
      else { throw fields.failure(key, "one size, or channels, height and width") }
      height = try fields.side(sides[0], key)
      width = try fields.side(sides[sides.count - 1], key)
    }
    func scaled(_ side: Int) throws(PreprocessingError) -> Int {
      guard fields.member("crop_pct") != nil else {
        return try fields.side(.int(side * baseSide / baseCrop.height), "img_size")
      }
      return try fields.scaled(side, by: try fields.positive("crop_pct", default: 1), "crop_pct")
    }
    setCrop(
      try fields.cropMode(), scaled: (try scaled(width), try scaled(height)), kept: (width, height))
  }

  /// A description for messages.
  package var summary: String {
    func list(_ numbers: [Double]) -> String {
      numbers.map { "\($0)" }.joined(separator: " ")
    }
    let kept = crop.map { $0.width == $0.height ? "\($0.width)" : "\($0.width)×\($0.height)" }
    var parts: [String] = []
    switch resize {
    case .shortestEdge(let side): parts.append("a short side of \(side)")
    case .bounded(let short, let long): parts.append("a short side of \(short), at most \(long)")
    case .exact(let width, let height): parts.append("a size of \(width)×\(height)")
    case .covering(let width, let height): parts.append("at least \(width)×\(height)")
    case .within(let width, let height):
      parts.append("at most \(width)×\(height) and a border around it")
    case .patches(let side, let count):
      parts.append("at most \(count) patches of \(side)×\(side)")
    case nil: break
    }
    if let kept { parts.append("of which \(kept) are kept") }
    parts.append(filter.rawValue)
    if let normalization {
      parts.append("mean \(list(normalization.mean)), std \(list(normalization.deviation))")
    }
    return parts.joined(separator: ", ")
  }
}
