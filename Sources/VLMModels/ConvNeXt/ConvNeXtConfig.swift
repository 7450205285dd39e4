import VLMFoundation
import VLMTensor

/// Geometry of a ConvNeXt: everything that its tensors' shapes and its arithmetic depend on.
///
/// ConvNeXt: Liu et al., "A ConvNet for the 2020s"; V2: Woo et al., "ConvNeXt V2". Names and
/// variants follow timm's `convnext.py`.
package struct ConvNeXtConfig: Sendable, Equatable {
  package enum Stem: Sendable, Equatable {
    /// One convolution, kernel and stride `size`.
    case patch(size: Int)
    /// Two 3×3 convolutions of stride 2 through `middle` channels, with an activation between
    /// when `activated`.
    case overlap(middle: Int, activated: Bool)
  }

  package struct Stage: Sendable, Equatable {
    package var depth: Int
    package var channels: Int
    /// Width of the block's inner layer, 4 × channels in every released model.
    package var hidden: Int
    package var kernel: Int
    package var dilation: Int
    /// Norm and convolution before the blocks; nil when the stage starts with a block.
    package var downsample: PatchGeometry?
  }

  /// What follows the trunk. Pooling always happens; the rest in this order.
  package struct Head: Sendable, Equatable {
    /// A norm over the feature map, before pooling (`norm_pre`).
    package var normBeforePool: Bool
    /// A norm over the pooled vector (`head.norm`).
    package var normAfterPool: Bool
    /// Width of a hidden layer with GELU (`head.pre_logits.fc`).
    package var hidden: Int?
    package var hiddenBias: Bool
    package var output: Output?
    package var pooling = Pooling.mean
    /// What was put in the place of `hidden` and `output`'s own layer, which there are none of
    /// then (`head.layers`).
    package var layers: [HeadLayer] = []

    package enum Pooling: String, Sendable, Equatable, CaseIterable {
      case mean
      /// fastai's: the largest values of the map, then their means, twice the channels.
      case maxMean = "max_mean"
    }

    package struct Output: Sendable, Equatable {
      package var count: Int
      package var bias: Bool
      package var meaning: Meaning
    }

    package enum Meaning: String, Sendable, Equatable {
      /// One logit per class.
      case classes
      /// A joint image-text embedding, L2-normalised (open_clip).
      case embedding
    }
  }

  package var inputChannels: Int
  package var stem: Stem
  /// Channels that leave the stem; the first stage may downsample to another width.
  package var stemChannels: Int
  package var stages: [Stage]
  package var usesLayerScale: Bool
  /// Global response normalisation inside the block (V2).
  package var usesGRN: Bool
  /// Biases of stem, downsampling and depthwise convolutions.
  package var convolutionBias: Bool
  package var activation: Activation
  /// Of every norm, that of the head included.
  package var norm = NormKind.layer
  package var epsilon: Float
  package var headEpsilon: Float
  package var head: Head

  /// Channels that leave the trunk.
  package var featureChannels: Int { stages.last?.channels ?? 0 }
  /// Values that leave the pooling.
  package var pooledChannels: Int {
    head.pooling == .mean ? featureChannels : 2 * featureChannels
  }

  package static let defaultEpsilon: Float = 1e-6
  /// timm and open_clip give every norm of `convnext_xxlarge` this one.
  package static let xxlargeEpsilon: Float = 1e-5
  package static let grnEpsilon: Float = 1e-6

  /// Refuses what no ConvNeXt has, so that later arithmetic on the numbers cannot overflow.
  package func validate() throws(ModelError) {
    let width = 1...TensorFormat.maximumInputs
    try ModelError.check("stem channels", stemChannels, width)
    try ModelError.check("input_channels", inputChannels, 1...64)
    switch stem {
    case .patch(let size): try ModelError.check("stem size", size, 1...64)
    case .overlap(let middle, _): try ModelError.check("stem middle", middle, width)
    }
    try ModelError.check("number of stages", stages.count, 1...16)
    for (index, stage) in stages.enumerated() {
      try ModelError.check("stage \(index) depth", stage.depth, 0...1000)
      try ModelError.check("stage \(index) channels", stage.channels, width)
      try ModelError.check("stage \(index) hidden", stage.hidden, width)
      try ModelError.check("stage \(index) kernel", stage.kernel, 1...63)
      try ModelError.check("stage \(index) kernel modulo 2", stage.kernel % 2, 1...1)
      try ModelError.check("stage \(index) dilation", stage.dilation, 1...64)
      if let geometry = stage.downsample {
        try ModelError.check("stage \(index) downsample kernel", geometry.kernel, 1...16)
        try ModelError.check("stage \(index) downsample stride", geometry.stride, 1...16)
        try ModelError.check("stage \(index) downsample dilation", geometry.dilation, 1...64)
        try ModelError.check("stage \(index) downsample padding", geometry.padding, 0...64)
        try ModelError.check(
          "stage \(index) downsample trailing padding", geometry.trailingPadding, 0...64)
      } else {
        let previous = index > 0 ? stages[index - 1].channels : stemChannels
        try ModelError.check("stage \(index) channels", stage.channels, previous...previous)
      }
    }
    // Each was checked, so the sum is no overflow. A few bytes could ask for a hundred thousand
    // tensors otherwise.
    try ModelError.check("number of blocks", stages.reduce(0) { $0 + $1.depth }, 0...1000)
    if let hidden = head.hidden { try ModelError.check("head hidden", hidden, width) }
    if let output = head.output {
      try ModelError.check("head outputs", output.count, 1...10_000_000)
    }
    try head.layers.validate("head")
    if head.pooling != .mean { try ModelError.check("head pooled", pooledChannels, width) }
    // Two heads, or a norm of other channels than it gets.
    guard head.layers.isEmpty || head.hidden == nil, head.pooling == .mean || !head.normAfterPool
    else {
      throw ModelError(
        .configuration(field: "head", found: "parts that exclude each other", expected: "a head"))
    }
    if !head.layers.isEmpty {
      let outputs = head.layers.outputs(inputs: pooledChannels)
      try ModelError.check("head outputs", head.output?.count ?? 0, outputs...outputs)
    }
    for (field, value) in [("epsilon", epsilon), ("head_epsilon", headEpsilon)]
    where !(value > 0 && value < 1) {
      throw ModelError(
        .configuration(field: field, found: "\(value)", expected: "a number between 0 and 1"))
    }
  }
}

// MARK: - JSON of the container's config section

extension ConvNeXtConfig {
  package var json: JSONValue {
    var object = JSONObject()
    object.set("input_channels", .int(inputChannels))
    switch stem {
    case .patch(let size): object.set("stem", ["type": "patch", "size": .int(size)])
    case .overlap(let middle, let activated):
      object.set(
        "stem", ["type": "overlap", "middle": .int(middle), "activated": .bool(activated)])
    }
    object.set("stem_channels", .int(stemChannels))
    object.set(
      "stages",
      .array(
        stages.map { stage in
          var entry = JSONObject()
          entry.set("depth", .int(stage.depth))
          entry.set("channels", .int(stage.channels))
          entry.set("hidden", .int(stage.hidden))
          entry.set("kernel", .int(stage.kernel))
          entry.set("dilation", .int(stage.dilation))
          if let geometry = stage.downsample {
            entry.set(
              "downsample",
              [
                "kernel": .int(geometry.kernel), "stride": .int(geometry.stride),
                "dilation": .int(geometry.dilation), "padding": .int(geometry.padding),
                "trailing_padding": .int(geometry.trailingPadding),
              ])
          }
          return .object(entry)
        }))
    object.set("layer_scale", .bool(usesLayerScale))
    object.set("grn", .bool(usesGRN))
    object.set("convolution_bias", .bool(convolutionBias))
    object.set("activation", .string(activation.rawValue))
    // Files from before there were others have no such field.
    if norm != .layer { object.set("norm", .string(norm.rawValue)) }
    object.set("epsilon", .double(epsilon.shortestDouble))
    object.set("head_epsilon", .double(headEpsilon.shortestDouble))
    var headObject = JSONObject()
    headObject.set("norm_before_pool", .bool(head.normBeforePool))
    headObject.set("norm_after_pool", .bool(head.normAfterPool))
    if let hidden = head.hidden {
      headObject.set("hidden", .int(hidden))
      headObject.set("hidden_bias", .bool(head.hiddenBias))
    }
    if let output = head.output {
      headObject.set("outputs", .int(output.count))
      headObject.set("output_bias", .bool(output.bias))
      headObject.set("meaning", .string(output.meaning.rawValue))
    }
    // Files from before there were these have none of them.
    if head.pooling != .mean { headObject.set("pooling", .string(head.pooling.rawValue)) }
    if !head.layers.isEmpty { headObject.set("layers", head.layers.json) }
    object.set("head", .object(headObject))
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked; `norm`, `pooling` and `layers` may be
  /// missing.
  package init(json: JSONValue) throws(ModelError) {
    let fields = ConfigFields(json, path: "convnext")
    inputChannels = try fields.int("input_channels")
    let stemFields = try fields.object("stem")
    switch try stemFields.string("type") {
    case "patch": stem = .patch(size: try stemFields.int("size"))
    case "overlap":
      stem = .overlap(
        middle: try stemFields.int("middle"), activated: try stemFields.bool("activated"))
    case let other: throw stemFields.unexpected("type", other, expected: "patch or overlap")
    }
    stemChannels = try fields.int("stem_channels")
    var stages: [Stage] = []
    for entry in try fields.objects("stages", limit: 16) {
      var geometry: PatchGeometry?
      if entry.has("downsample") {
        let inner = try entry.object("downsample")
        geometry = PatchGeometry(
          kernel: try inner.int("kernel"), stride: try inner.int("stride"),
          dilation: try inner.int("dilation"), padding: try inner.int("padding"),
          trailingPadding: try inner.int("trailing_padding"))
      }
      stages.append(
        Stage(
          depth: try entry.int("depth"), channels: try entry.int("channels"),
          hidden: try entry.int("hidden"), kernel: try entry.int("kernel"),
          dilation: try entry.int("dilation"), downsample: geometry))
    }
    self.stages = stages
    usesLayerScale = try fields.bool("layer_scale")
    usesGRN = try fields.bool("grn")
    convolutionBias = try fields.bool("convolution_bias")
    activation = try fields.activation("activation")
    if fields.has("norm") {
      let name = try fields.string("norm")
      guard let kind = NormKind(rawValue: name) else {
        throw fields.unexpected(
          "norm", name, expected: NormKind.allCases.map(\.rawValue).joined(separator: ", "))
      }
      norm = kind
    }
    epsilon = Float(try fields.double("epsilon"))
    headEpsilon = Float(try fields.double("head_epsilon"))
    let headFields = try fields.object("head")
    var output: Head.Output?
    if headFields.has("outputs") {
      let name = try headFields.string("meaning")
      guard let meaning = Head.Meaning(rawValue: name) else {
        throw headFields.unexpected("meaning", name, expected: "classes or embedding")
      }
      output = Head.Output(
        count: try headFields.int("outputs"), bias: try headFields.bool("output_bias"),
        meaning: meaning)
    }
    let hasHidden = headFields.has("hidden")
    head = Head(
      normBeforePool: try headFields.bool("norm_before_pool"),
      normAfterPool: try headFields.bool("norm_after_pool"),
      hidden: hasHidden ? try headFields.int("hidden") : nil,
      hiddenBias: hasHidden ? try headFields.bool("hidden_bias") : false, output: output)
    if headFields.has("pooling") {
      let name = try headFields.string("pooling")
      guard let pooling = Head.Pooling(rawValue: name) else {
        throw headFields.unexpected(
          "pooling", name, expected: Head.Pooling.allCases.map(\.rawValue).joined(separator: ", "))
      }
      head.pooling = pooling
    }
    if headFields.has("layers") { head.layers = try [HeadLayer](headFields) }
    try validate()
  }
}

extension Float {
  /// The double whose shortest decimal is the shortest decimal of this float: 1e-06, not
  /// 9.999999974752427e-07.
  package var shortestDouble: Double { Double(description) ?? Double(self) }
}
