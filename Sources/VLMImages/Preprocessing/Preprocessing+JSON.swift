import VLMFoundation

extension Preprocessing {
  /// The form stored in a container. Equal steps give the same text:
  ///
  ///     {"pad": [r, g, b] or null,
  ///      "resize": {"shortest_edge": n} or {"width": w, "height": h}
  ///        or {"cover_width": w, "cover_height": h} or {"within_width": w, "within_height": h}
  ///        or {"short": n, "at_most": m} or {"patch": n, "patches": m} or null,
  ///      "filter": "bicubic", …
  ///      "crop": {"width": w, "height": h, "rounding": "floor" or "half_even"} or null,
  ///        with "fill": [r, g, b] where it pads with another colour than black
  ///      "rescale": "divide_by_255" or "none" or a factor,
  ///      "normalize": {"mean": [r, g, b], "std": [r, g, b]} or null}
  ///
  /// Every key is written and required. If the model's input is not RGB, there is also `"channels":
  /// "gray"` or `"rgba"`, with one mean and deviation per channel. If a picture becomes several
  /// inputs, there is also `"tiles"`, see `Tiling`.
  package func json() -> JSONValue {
    var object = JSONObject()
    object.set("pad", padding?.json ?? .null)
    switch resize {
    case nil: object.set("resize", .null)
    case .shortestEdge(let side): object.set("resize", ["shortest_edge": .int(side)])
    case .bounded(let short, let long):
      object.set("resize", ["short": .int(short), "at_most": .int(long)])
    case .exact(let width, let height):
      object.set("resize", ["width": .int(width), "height": .int(height)])
    case .covering(let width, let height):
      object.set("resize", ["cover_width": .int(width), "cover_height": .int(height)])
    case .within(let width, let height):
      object.set("resize", ["within_width": .int(width), "within_height": .int(height)])
    case .patches(let side, let count):
      object.set("resize", ["patch": .int(side), "patches": .int(count)])
    }
    object.set("filter", .string(filter.rawValue))
    object.set("crop", crop?.json ?? .null)
    switch rescale {
    case .dividedBy255: object.set("rescale", "divide_by_255")
    case .none: object.set("rescale", "none")
    case .multiplied(let factor): object.set("rescale", .double(factor))
    }
    object.set(
      "normalize",
      normalization.map {
        [
          "mean": .array($0.mean.map(JSONValue.double)),
          "std": .array($0.deviation.map(JSONValue.double)),
        ]
      } ?? .null)
    if color != .rgb { object.set("channels", .string(color.rawValue)) }
    if let tiling { object.set("tiles", tiling.json) }
    return .object(object)
  }

  /// Reads the form that `json` writes.
  package init(json: JSONValue, name: String) throws(PreprocessingError) {
    var color = ColorMode.rgb
    if let stated = json["channels"], !stated.isNull {
      guard let mode = stated.stringValue.flatMap(ColorMode.init(rawValue:)) else {
        throw PreprocessingFields(json: json, name: name).failure(
          "channels", "'rgb', 'gray' or 'rgba'")
      }
      color = mode
    }
    let fields = PreprocessingFields(json: json, name: name, color: color)
    for key in ["pad", "resize", "filter", "crop", "rescale", "normalize"] where json[key] == nil {
      throw fields.failure(key, "a member, or null where it may be")
    }
    let padding = try fields.rgb(fields.member("pad"), "pad")
    var resize: Resize?
    if let size = fields.member("resize") {
      if size["shortest_edge"] != nil {
        resize = .shortestEdge(try fields.side(size["shortest_edge"], "resize"))
      } else if size["at_most"] != nil {
        resize = .bounded(
          short: try fields.side(size["short"], "resize"),
          long: try fields.side(size["at_most"], "resize"))
      } else if size["cover_width"] != nil {
        resize = .covering(
          width: try fields.side(size["cover_width"], "resize"),
          height: try fields.side(size["cover_height"], "resize"))
      } else if size["within_width"] != nil {
        resize = .within(
          width: try fields.side(size["within_width"], "resize"),
          height: try fields.side(size["within_height"], "resize"))
      } else if size["patches"] != nil {
        resize = .patches(
          side: try fields.side(size["patch"], "resize"),
          count: try fields.side(size["patches"], "resize"))
      } else {
        resize = .exact(
          width: try fields.side(size["width"], "resize"),
          height: try fields.side(size["height"], "resize"))
      }
    }
    guard let filter = json["filter"]?.stringValue.flatMap(Resampling.init(rawValue:)) else {
      throw fields.failure("filter", "the name of a filter")
    }
    var crop: Crop?
    if let size = fields.member("crop") {
      guard let rounding = size["rounding"]?.stringValue.flatMap(CropRounding.init(rawValue:))
      else { throw fields.failure("crop", "a rounding of 'floor' or 'half_even'") }
      crop = Crop(
        width: try fields.side(size["width"], "crop"),
        height: try fields.side(size["height"], "crop"), rounding: rounding,
        fill: try fields.rgb(size["fill"], "crop") ?? .black)
      guard crop?.fill == .black || color == .rgb else { throw fields.failure("crop", "no fill") }
    }
    let rescale: Rescale
    switch json["rescale"]?.stringValue {
    case "divide_by_255": rescale = .dividedBy255
    case "none": rescale = .none
    default:
      guard fields.member("rescale") != nil else {
        throw fields.failure("rescale", "'divide_by_255', 'none' or a factor")
      }
      rescale = .multiplied(try fields.positive("rescale", default: 1))
    }
    var normalization: Normalization?
    if let values = fields.member("normalize") {
      let inner = PreprocessingFields(
        json: values, name: name, color: color, countsChannels: true)
      for key in ["mean", "std"] where inner.member(key) == nil {
        throw inner.failure(key, "\(color.channels) numbers")
      }
      normalization = try inner.normalization(mean: "mean", deviation: "std", default: .half)
    }
    guard padding == nil || color == .rgb else { throw fields.failure("pad", "null") }
    self = Preprocessing(
      padding: padding, resize: resize, filter: filter, crop: crop, rescale: rescale,
      normalization: normalization
    ).inColor(color)
    if let stated = fields.member("tiles") {
      tiling = try Tiling(json: stated, name: name, of: self)
    }
  }
}

extension Preprocessing.Crop {
  fileprivate var json: JSONValue {
    var object = JSONObject()
    object.set("width", .int(width))
    object.set("height", .int(height))
    object.set("rounding", .string(rounding.rawValue))
    // Files from before there was one have none.
    if fill != .black { object.set("fill", fill.json) }
    return .object(object)
  }
}

extension RGB {
  fileprivate var json: JSONValue { .array([red, green, blue].map { .int(Int($0)) }) }
}

extension PreprocessingFields {
  /// A colour; nil for none.
  fileprivate func rgb(
    _ value: JSONValue?, _ key: String
  ) throws(PreprocessingError) -> RGB? {
    guard let value, !value.isNull else { return nil }
    let bytes = value.arrayValue?.compactMap { $0.intValue.flatMap(UInt8.init(exactly:)) } ?? []
    guard bytes.count == 3, value.arrayValue?.count == 3 else {
      throw failure(key, "three numbers of 0 to 255")
    }
    return RGB(bytes[0], bytes[1], bytes[2])
  }
}
