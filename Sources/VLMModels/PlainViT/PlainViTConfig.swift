import VLMFoundation
import VLMTensor

/// Geometry of a plain vision transformer, DINOv2's among them.
package struct PlainViTConfig: Sendable, Equatable {
  /// How the vector for a picture is made of the last layer's tokens.
  package enum Pooling: String, Sendable, Equatable, CaseIterable {
    /// The class token behind the last norm.
    case classToken = "class_token"
    /// The mean of the patches behind the last norm.
    case mean
    /// The last norm of the patches' mean.
    case normedMean = "normed_mean"
    /// The class token and the patches' mean, both behind the last norm, one behind the other: what
    /// transformers' classifiers on a DINOv2 read.
    case classAndMean = "class_and_mean"
    /// The mean of the class token and that of distillation, both behind the last norm: of a DeiT with
    /// a classifier on each, whose logits are the mean of theirs.
    case classAndDistillation = "class_and_distillation"
  }

  /// The layers' second half.
  package enum MLP: String, Sendable, Equatable, CaseIterable {
    case plain
    /// `fc2(activation(gate) * factor)`, one matrix making both, the gate first.
    case packedGate = "packed_gate"
    /// The same with a matrix for each.
    case splitGate = "split_gate"

    var isGated: Bool { self != .plain }
  }

  /// One of the convolutions that make patches in several steps.
  package struct StemLayer: Sendable, Equatable {
    /// Features of the one before along a side of the square that it reads; squares do not overlap.
    package var kernel: Int
    package var outputs: Int

    package init(kernel: Int, outputs: Int) {
      self.kernel = kernel
      self.outputs = outputs
    }
  }

  /// Side of the square picture that the position table is for, or the height of one that is none.
  package var imageSize: Int
  /// The width of such a picture; nil for a square.
  package var imageWidth: Int?
  package var patchSize: Int
  /// The layers; of a gated MLP, `hidden` is the width behind the gate.
  package var encoder: TransformerConfig
  /// Whether a second token, with a row of the position table as well, stands behind that of the
  /// class: DeiT's, which learned from a teacher.
  package var hasDistillationToken = false
  /// Tokens between these and the patches, which have no positions.
  package var registers = 0
  /// Whether the class token has a row of the position table.
  package var hasClassPosition = true
  package var resampling = PositionTable.Resampling.bicubic
  /// Base of the angles by which queries and keys of patches are turned, in a model that has these
  /// for positions (DINOv3's), and no table; nil for a table.
  package var rotaryBase: Double?
  package var mlp = MLP.plain
  /// Whether queries, keys and values are made by one matrix.
  package var isFused = false
  /// Whether queries and values have biases.
  package var hasProjectionBias = true
  /// Whether keys have them.
  package var hasKeyBias = true
  /// Whether what each half of a layer adds has a factor for each column.
  package var usesLayerScale = false
  package var pooling = Pooling.classToken
  /// What the vector goes through behind that; empty for nothing.
  package var pooler: [HeadLayer] = []
  /// From the vector to a logit per class; empty for none. Where the vector is the mean of two tokens,
  /// each has such a classifier.
  package var classifier: [HeadLayer] = []
  /// The convolutions that make patches; empty where one does.
  package var stem: [StemLayer] = []
  /// Whether that one has a bias.
  package var hasPatchBias = true
  /// Whether a norm stands before the layers.
  package var hasPreNorm = false
  /// Whether what stands for the classifier leads to a space that pictures share with texts, where the
  /// vector has length 1.
  package var isJoint = false

  package init(imageSize: Int, patchSize: Int, encoder: TransformerConfig) {
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.encoder = encoder
  }

  package var tableRows: Int { tableGrid.count + positionedTokens }
  /// Tokens before the patches that have rows of the position table.
  var positionedTokens: Int { (hasClassPosition ? 1 : 0) + (hasDistillationToken ? 1 : 0) }
  /// Tokens before the patches.
  package var prefix: Int { 1 + (hasDistillationToken ? 1 : 0) + registers }
  /// Columns of the widest matrix of a layer but for queries, keys and values, or of a patch.
  var widest: Int { max(patchInputs, encoder.hidden * (mlp.isGated ? 2 : 1)) }
  /// Values of the vector that the classifier reads.
  package var vectorWidth: Int { pooler.outputs(inputs: pooledWidth) }
  /// Values that are made of the tokens.
  var pooledWidth: Int { encoder.width * (pooling == .classAndMean ? 2 : 1) }
  /// Classes that the classifier tells apart; nil for none.
  package var classCount: Int? {
    isJoint ? nil : headOutputs
  }
  /// Numbers that the classifier, or what stands for it, gives.
  package var headOutputs: Int? {
    classifier.isEmpty ? nil : classifier.outputs(inputs: vectorWidth)
  }

  /// Refuses what no such model has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = PlainViTFamily.name) throws(ModelError) {
    try validateSizes(place)
    try ModelError.check("\(place).registers", registers, 0...1024)
    if let rotaryBase {
      guard rotaryBase > 1, rotaryBase <= 1e15 else {
        throw ModelError(
          .configuration(
            field: "\(place).rotary_base", found: "\(rotaryBase)",
            expected: "more than 1, at most 1e15"))
      }
      guard encoder.headDimension % 4 == 0 else {
        throw ModelError(
          .configuration(
            field: "\(place).encoder.heads", found: "\(encoder.heads)",
            expected: "heads of a multiple of 4 columns, as positions are angles"))
      }
    }
    guard !isFused || hasKeyBias == hasProjectionBias else {
      throw ModelError(
        .configuration(
          field: "\(place).key_bias", found: "\(hasKeyBias)",
          expected: "\(hasProjectionBias), as one matrix makes them all"))
    }
    guard !hasDistillationToken || hasClassPosition else {
      throw ModelError(
        .configuration(
          field: "\(place).class_position", found: "false",
          expected: "true, as the distillation token has a row"))
    }
    guard pooling != .classAndDistillation || hasDistillationToken && pooler.isEmpty else {
      throw ModelError(
        .configuration(
          field: "\(place).pooling", found: "'\(pooling.rawValue)'",
          expected: "another without a distillation token, or with a pooler"))
    }
    try pooler.validate("\(place).pooler")
    try ModelError.check("\(place).vector", vectorWidth, 1...TensorFormat.maximumInputs)
    try classifier.validate("\(place).classifier")
    guard !isJoint || !classifier.isEmpty else {
      throw ModelError(
        .configuration(field: "\(place).joint", found: "true", expected: "false without a head"))
    }
    try ModelError.check("\(place).stem", stem.count, 0...8)
    var product = 1
    for layer in stem {
      try ModelError.check("\(place).stem.kernel", layer.kernel, 1...16)
      try ModelError.check("\(place).stem.outputs", layer.outputs, 1...encoder.width * 16)
      product *= layer.kernel
    }
    guard stem.isEmpty || product == patchSize && stem.last?.outputs == encoder.width else {
      throw ModelError(
        .configuration(
          field: "\(place).stem",
          found: "\(stem.last?.outputs ?? 0) channels, \(product) pixels apart",
          expected: "\(encoder.width) channels, \(patchSize) pixels apart"))
    }
    try ModelError.check("\(place).stem", widestStemWindow, 0...TensorFormat.maximumInputs)
  }

  package var json: JSONValue {
    var object = sizesJSON
    object.set("registers", .int(registers))
    object.set("class_position", .bool(hasClassPosition))
    object.set("position_resampling", .string(resampling.rawValue))
    object.set("mlp", .string(mlp.rawValue))
    object.set("fused_projections", .bool(isFused))
    object.set("projection_bias", .bool(hasProjectionBias))
    object.set("key_bias", .bool(hasKeyBias))
    object.set("rotary_base", rotaryBase.map { .double($0) } ?? .null)
    object.set("layer_scale", .bool(usesLayerScale))
    object.set("pooling", .string(pooling.rawValue))
    if hasDistillationToken { object.set("distillation_token", true) }
    if !pooler.isEmpty { object.set("pooler", ["layers": pooler.json]) }
    if !classifier.isEmpty { object.set("classifier", ["layers": classifier.json]) }
    // Files from before there were these have none of them.
    if !stem.isEmpty {
      object.set(
        "stem",
        .array(stem.map { ["kernel": .int($0.kernel), "outputs": .int($0.outputs)] }))
    }
    if !hasPatchBias { object.set("patch_bias", false) }
    if hasPreNorm { object.set("pre_norm", true) }
    if isJoint { object.set("joint", true) }
    return .object(object)
  }

  /// Reads what `json` wrote; every field is checked, and only `image_width`, `distillation_token` and
  /// those behind that may be missing.
  package init(json: JSONValue, path: String) throws(ModelError) {
    let fields = ConfigFields(json, path: path)
    (imageSize, patchSize, encoder) = try fields.patchSizes()
    imageWidth = try fields.imageWidth()
    registers = try fields.int("registers")
    hasClassPosition = try fields.bool("class_position")
    resampling = try fields.choice("position_resampling")
    mlp = try fields.choice("mlp")
    isFused = try fields.bool("fused_projections")
    hasProjectionBias = try fields.bool("projection_bias")
    hasKeyBias = try fields.bool("key_bias")
    if fields.has("rotary_base") { rotaryBase = try fields.double("rotary_base") }
    usesLayerScale = try fields.bool("layer_scale")
    pooling = try fields.choice("pooling")
    hasDistillationToken = try fields.bool("distillation_token", default: false)
    if fields.has("pooler") { pooler = try [HeadLayer](try fields.object("pooler")) }
    if fields.has("classifier") { classifier = try [HeadLayer](try fields.object("classifier")) }
    if fields.has("stem") {
      for layer in try fields.objects("stem", limit: 8) {
        stem.append(
          StemLayer(kernel: try layer.int("kernel"), outputs: try layer.int("outputs")))
      }
    }
    hasPatchBias = try fields.bool("patch_bias", default: true)
    hasPreNorm = try fields.bool("pre_norm", default: false)
    isJoint = try fields.bool("joint", default: false)
    try validate(path)
  }
}
