import VLMFoundation
import VLMTensor

/// Geometry of a FastViT; names and options follow timm's `fastvit.py`.
package struct FastViTConfig: Sendable, Equatable {
  /// What mixes the positions of a stage's maps.
  package enum Mixer: String, Sendable, Equatable, CaseIterable {
    /// RepMixer: one depthwise convolution, as it runs behind training.
    case convolution
    case attention
  }

  /// What attention reads is normed by.
  package enum Norm: String, Sendable, Equatable, CaseIterable {
    /// Over the channels of each position.
    case layer
    /// By the statistics of training: a scale and a shift of each channel.
    case batch
  }

  package struct Stage: Sendable, Equatable {
    package var channels: Int
    package var depth: Int
    /// Channels of the MLP's inner layer.
    package var hidden: Int
    package var mixer: Mixer
    /// Whether a convolution of stride 2 stands before the blocks.
    package var downsamples: Bool
    /// Inner width of that convolution's squeeze-excite; nil for none.
    package var squeeze: Int?
    /// Whether a convolution tells the blocks where they are (Chu et al., "Conditional Positional
    /// Encodings for Vision Transformers").
    package var hasPositions: Bool

    package init(
      channels: Int, depth: Int, hidden: Int, mixer: Mixer, downsamples: Bool, squeeze: Int? = nil,
      hasPositions: Bool = false
    ) {
      self.channels = channels
      self.depth = depth
      self.hidden = hidden
      self.mixer = mixer
      self.downsamples = downsamples
      self.squeeze = squeeze
      self.hasPositions = hasPositions
    }
  }

  /// What is made of the last map.
  package enum Feature: String, Sendable, Equatable, CaseIterable {
    /// Nothing: what a language model reads.
    case map
    /// The mean of its positions, and what lies on top of that.
    case pooled
  }

  /// What a linear layer on the pooled vector gives.
  package enum Output: String, Sendable, Equatable, CaseIterable {
    case classes
    /// A vector in a space that texts have theirs in too.
    case embedding
  }

  package var stages: [Stage]
  package var norm: Norm
  /// Whether a GELU follows the large convolution of a downsampling.
  package var activatesDownsampling: Bool
  /// Whether the branches of blocks have a factor for each channel.
  package var usesLayerScale: Bool
  /// Side of the depthwise kernel of a convolutional mixer.
  package var mixerKernel: Int
  /// Side of the kernel of a downsampling.
  package var downsampleKernel: Int
  /// Channels of the last map: a multiple of the last stage's.
  package var outputs: Int
  /// Inner width of the last convolution's squeeze-excite.
  package var squeeze: Int
  package var feature: Feature
  package var head: (kind: Output, count: Int, bias: Bool)?
  /// Side of the square pictures of training; nil where nothing says it.
  package var imageSize: Int?

  package static let headDimension = 32
  /// Of every norm.
  package static let epsilon: Float = 1e-5
  /// Sides of the kernels of positions and MLPs.
  static let wideKernel = 7
  static let stemKernel = 3
  static let finalKernel = 3
  static let maximumStages = 8

  /// Pixels from one position of the last map to the next.
  package var stride: Int { stages.reduce(4) { $0 * ($1.downsamples ? 2 : 1) } }

  package init(
    stages: [Stage], norm: Norm, activatesDownsampling: Bool, usesLayerScale: Bool = true,
    mixerKernel: Int = 3, downsampleKernel: Int = 7, outputs: Int, squeeze: Int, feature: Feature
  ) {
    self.stages = stages
    self.norm = norm
    self.activatesDownsampling = activatesDownsampling
    self.usesLayerScale = usesLayerScale
    self.mixerKernel = mixerKernel
    self.downsampleKernel = downsampleKernel
    self.outputs = outputs
    self.squeeze = squeeze
    self.feature = feature
  }

  package static func == (a: FastViTConfig, b: FastViTConfig) -> Bool { a.json == b.json }

  /// Refuses what no FastViT has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = FastViTFamily.name) throws(ModelError) {
    let columns = 1...TensorFormat.maximumInputs
    try ModelError.check("\(place).stages", stages.count, 1...Self.maximumStages)
    var inputs = stages[0].channels
    for (index, stage) in stages.enumerated() {
      let name = "\(place).stages[\(index)]"
      try ModelError.check("\(name).channels", stage.channels, columns)
      try ModelError.check("\(name).depth", stage.depth, 0...1000)
      try ModelError.check("\(name).hidden", stage.hidden, columns)
      if let squeeze = stage.squeeze { try ModelError.check("\(name).squeeze", squeeze, columns) }
      guard stage.channels % inputs == 0, stage.downsamples || stage.channels == inputs else {
        throw ModelError(
          .configuration(
            field: "\(name).channels", found: "\(stage.channels)",
            expected: stage.downsamples
              ? "a multiple of the \(inputs) before" : "\(inputs), as nothing is downsampled"))
      }
      guard stage.downsamples || stage.squeeze == nil else {
        throw ModelError(
          .configuration(
            field: "\(name).squeeze", found: "\(stage.squeeze ?? 0)",
            expected: "none, as nothing is downsampled"))
      }
      guard stage.mixer == .convolution || stage.channels % Self.headDimension == 0 else {
        throw ModelError(
          .configuration(
            field: "\(name).channels", found: "\(stage.channels)",
            expected: "a multiple of \(Self.headDimension), the width of a head"))
      }
      if stage.mixer == .attention {
        try ModelError.check("\(name).channels", 3 * stage.channels, columns)
      }
      inputs = stage.channels
    }
    for (name, kernel) in [
      ("mixer_kernel", mixerKernel), ("downsample_kernel", downsampleKernel),
    ] {
      guard kernel % 2 == 1, (1...63).contains(kernel) else {
        throw ModelError(
          .configuration(
            field: "\(place).\(name)", found: "\(kernel)", expected: "an odd number up to 63"))
      }
    }
    try ModelError.check("\(place).outputs", outputs, columns)
    try ModelError.check("\(place).squeeze", squeeze, columns)
    guard outputs % inputs == 0 else {
      throw ModelError(
        .configuration(
          field: "\(place).outputs", found: "\(outputs)",
          expected: "a multiple of the \(inputs) before"))
    }
    if let head {
      try ModelError.check("\(place).head.count", head.count, 1...10_000_000)
      guard feature == .pooled else {
        throw ModelError(
          .configuration(
            field: "\(place).feature", found: "'\(feature.rawValue)'",
            expected: "'pooled', as there is a head"))
      }
    }
    if let imageSize { try ModelError.check("\(place).image_size", imageSize, 1...16_384) }
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set(
      "stages",
      .array(
        stages.map { stage in
          [
            "channels": .int(stage.channels), "depth": .int(stage.depth),
            "hidden": .int(stage.hidden), "mixer": .string(stage.mixer.rawValue),
            "downsamples": .bool(stage.downsamples),
            "squeeze": stage.squeeze.map { .int($0) } ?? .null,
            "has_positions": .bool(stage.hasPositions),
          ]
        }))
    object.set("norm", .string(norm.rawValue))
    object.set("activates_downsampling", .bool(activatesDownsampling))
    object.set("uses_layer_scale", .bool(usesLayerScale))
    object.set("mixer_kernel", .int(mixerKernel))
    object.set("downsample_kernel", .int(downsampleKernel))
    object.set("outputs", .int(outputs))
    object.set("squeeze", .int(squeeze))
    object.set("feature", .string(feature.rawValue))
    if let head {
      object.set(
        "head",
        [
          "kind": .string(head.kind.rawValue), "count": .int(head.count), "bias": .bool(head.bias),
        ])
    }
    if let imageSize { object.set("image_size", .int(imageSize)) }
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and only `head` and `image_size` may be
  /// missing.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    var stages: [Stage] = []
    for entry in try fields.objects("stages", limit: Self.maximumStages) {
      stages.append(
        Stage(
          channels: try entry.int("channels"), depth: try entry.int("depth"),
          hidden: try entry.int("hidden"), mixer: try entry.choice("mixer"),
          downsamples: try entry.bool("downsamples"),
          squeeze: entry.has("squeeze") ? try entry.int("squeeze") : nil,
          hasPositions: try entry.bool("has_positions")))
    }
    self.init(
      stages: stages, norm: try fields.choice("norm"),
      activatesDownsampling: try fields.bool("activates_downsampling"),
      usesLayerScale: try fields.bool("uses_layer_scale"),
      mixerKernel: try fields.int("mixer_kernel"),
      downsampleKernel: try fields.int("downsample_kernel"), outputs: try fields.int("outputs"),
      squeeze: try fields.int("squeeze"), feature: try fields.choice("feature"))
    if fields.has("head") {
      let inner = try fields.object("head")
      head = (try inner.choice("kind"), try inner.int("count"), try inner.bool("bias"))
    }
    if fields.has("image_size") { imageSize = try fields.int("image_size") }
    try validate(path)
  }
}
