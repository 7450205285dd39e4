import VLMFoundation

/// How a picture becomes several inputs of a tower.
package enum Tiling: Sendable, Equatable {
  /// An overview and the tiles of a larger version: LLaVA-NeXT, LLaVA-OneVision.
  case anyResolution(AnyResolution)
  /// The tiles of a larger version and an overview: Idefics3, SmolVLM.
  case splitting(ImageSplitting)

  /// Whether this is `splitting`.
  package var isSplitting: Bool { if case .splitting = self { true } else { false } }

  /// The form stored in a container, the member "tiles" of the preprocessing:
  ///
  ///     {"any_resolution": [[height, width], …], "several": "pad" or "tiles"}
  ///     {"longest_edge": n, "split": true or false, "video": see `FrameSampling`, or null}
  package var json: JSONValue {
    switch self {
    case .splitting(let splitting):
      [
        "longest_edge": .int(splitting.longestEdge), "split": .bool(splitting.splits),
        "video": splitting.film?.json ?? .null,
      ]
    case .anyResolution(let candidates):
      [
        "any_resolution": .array(
          candidates.sizes.map { .array([.int($0.height), .int($0.width)]) }),
        "several": candidates.padsSeveral ? "pad" : "tiles",
      ]
    }
  }

  /// Reads the form that `json` writes.
  ///
  /// - Parameter steps: what becomes of each input.
  /// - Throws: `PreprocessingError` for tiles of no known kind, or that do not go with the steps.
  init(
    json: JSONValue, name: String, of steps: Preprocessing
  ) throws(PreprocessingError) {
    let fields = PreprocessingFields(json: json, name: name)
    if let edge = fields.member("longest_edge") {
      try self.init(
        ImageSplitting(
          longestEdge: try fields.side(edge, "longest_edge"),
          splits: try fields.bool("split", default: true),
          film: try fields.member("video").map { film throws(PreprocessingError) in
            try FrameSampling(json: film, name: name)
          }),
        of: steps, fields, key: "longest_edge")
      return
    }
    let sizes = try Self.sizes(fields, "any_resolution")
    let several = try fields.string("several", default: "tiles")
    guard several == "tiles" || several == "pad" else {
      throw fields.failure("several", "'tiles' or 'pad'")
    }
    try self.init(
      AnyResolution(sizes: sizes, padsSeveral: several == "pad"), of: steps, fields,
      key: "any_resolution")
  }

  /// Tiles that go with what becomes of each.
  init(
    _ candidates: AnyResolution, of steps: Preprocessing, _ fields: PreprocessingFields,
    key: String
  ) throws(PreprocessingError) {
    let side = try Self.side(of: steps, fields, key: key)
    if let expected = candidates.defect(tile: side) { throw fields.failure(key, expected) }
    self = .anyResolution(candidates)
  }

  /// The same of image splitting.
  init(
    _ splitting: ImageSplitting, of steps: Preprocessing, _ fields: PreprocessingFields,
    key: String
  ) throws(PreprocessingError) {
    let side = try Self.side(of: steps, fields, key: key)
    if let expected = splitting.defect(tile: side) { throw fields.failure(key, expected) }
    self = .splitting(splitting)
  }

  /// The side of a tile; only steps that squeeze it whole into a square have one.
  private static func side(
    of steps: Preprocessing, _ fields: PreprocessingFields, key: String
  ) throws(PreprocessingError) -> Int {
    guard case .exact(let width, let height) = steps.resize, width == height,
      steps.crop == nil, steps.padding == nil, steps.color == .rgb
    else { throw fields.failure(key, "none, or steps that make a square of the whole picture") }
    return width
  }

  /// Pairs of a height and a width.
  static func sizes(
    _ fields: PreprocessingFields, _ key: String
  ) throws(PreprocessingError) -> [PictureExtent] {
    guard let list = fields.member(key)?.arrayValue, list.count <= AnyResolution.maximumSizes else {
      throw fields.failure(key, "a list of at most \(AnyResolution.maximumSizes) sizes")
    }
    var sizes: [PictureExtent] = []
    for pair in list {
      guard let sides = pair.arrayValue, sides.count == 2 else {
        throw fields.failure(key, "pairs of a height and a width")
      }
      sizes.append(
        PictureExtent(
          height: try fields.side(sides[0], key), width: try fields.side(sides[1], key)))
    }
    return sizes
  }
}

extension Preprocessing {
  /// The same steps for each of a picture's tiles.
  ///
  /// - Parameters:
  ///   - fields: of the configuration that the sizes are from, for errors.
  ///   - key: of the sizes.
  /// - Throws: `PreprocessingError` for steps that make no square of the whole picture, or sizes that
  ///   its side does not divide.
  func tiled(
    _ candidates: AnyResolution, _ fields: PreprocessingFields, key: String
  ) throws(PreprocessingError) -> Preprocessing {
    var steps = self
    steps.tiling = nil
    // What resizes a square's short side and crops nothing makes the square of it.
    if let size = fixedSize ?? resolution.map({ ($0, $0) }), size.width == size.height,
      size.width == resizedSide ?? size.width, padding == nil
    {
      steps.resize = .exact(width: size.width, height: size.width)
      steps.crop = nil
    }
    steps.tiling = try Tiling(candidates, of: steps, fields, key: key)
    return steps
  }

  /// The same for sizes that the model's own description states.
  ///
  /// - Parameter name: of that, for errors.
  package func tiled(
    _ candidates: AnyResolution, name: String
  ) throws(PreprocessingError) -> Preprocessing {
    let key = "image_grid_pinpoints"
    let sizes = Tiling.anyResolution(candidates).json["any_resolution"] ?? .null
    let fields = PreprocessingFields(json: [key: sizes], name: name)
    if case .anyResolution(let own) = tiling, own.sizes != candidates.sizes {
      throw fields.failure(key, "those of the image processor, which are others")
    }
    return try tiled(candidates, fields, key: key)
  }

  /// The side that the resize makes of a square.
  private var resizedSide: Int? {
    switch resize {
    case .exact(let width, let height): width == height ? width : 0
    case .shortestEdge(let side): side
    case .bounded(let short, let long): min(short, long)
    case .covering, .within, .patches: 0
    case nil: nil
    }
  }
}
