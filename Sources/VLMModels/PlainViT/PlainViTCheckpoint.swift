import VLMFoundation
import VLMTensor

/// A plain vision transformer found among a checkpoint's tensors.
struct PlainViTCheckpoint: FoundTower {
  let config: PlainViTConfig
  let naming: PlainViTNaming
  let tensors: [String: ModelCheckpoint.Source]
  private(set) var unused: [String] = []
  private(set) var unexpected: [String] = []
  private(set) var notes: [Note]

  /// - Parameters:
  ///   - names: tensors with their shapes.
  ///   - description: `config.json`, if there.
  /// - Returns: nil when there is no such model, or it is part of a class that is not known.
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  init?(_ names: [CheckpointFacts.Name], _ description: JSONValue?) throws(ModelError) {
    guard let (naming, prefix) = PlainViTNaming.find(Set(names.map(\.name))),
      try !PlainViTDescription.isOther(description, naming)
    else { return nil }
    var found: [String: ModelCheckpoint.Source] = [:]
    var isMasked = false
    // A factor without a gate is a plain layer.
    let isGated = names.contains { name in
      [".mlp.gate_proj.", ".mlp.fc1_g.", ".mlp.w1."].contains { name.name.contains($0) }
    }
    let isMaskedBias = names.contains { $0.name.hasSuffix(PlainViTNaming.mask) }
    let stem = try PlainViTStemTensors(naming == .timm ? names : [], prefix: prefix)
    found = stem.found
    for (name, shape) in names where !stem.used.contains(name) {
      if let parts = naming.parts(name) {
        guard shape.count <= 2, let all = shape.first, all > 0, all % 3 == 0 else {
          throw ModelError(
            .configuration(
              field: "tensor '\(name)'", found: "\(shape)",
              expected: "as many rows of queries as of keys and of values"))
        }
        for (index, ours) in parts.enumerated()
        where index != 1 || shape.count == 2 || !isMaskedBias {
          try found.add(
            .init(
              original: name, shape: [all / 3] + shape.dropFirst(),
              rows: .part(first: index * all / 3, count: all / 3)), as: ours)
        }
        continue
      }
      var ours = naming.classifier(name) ?? name.dropping(prefix).flatMap(naming.canonical)
      if !isGated { ours = ours?.parts(between: ".mlp.up.").joined(separator: ".mlp.fc1.") }
      guard let ours else {
        unused.append(name)
        // What stood for patches that training hid.
        let isMask = name.hasSuffix("mask_token")
        isMasked = isMasked || isMask
        if !isMask, !naming.isInert(name), !HeadModule.isInert((name, shape)) {
          unexpected.append(name)
        }
        continue
      }
      // A DINOv3 without registers stores none of them, as a tensor.
      if ours == "embeddings.registers", shape.contains(0) {
        unused.append(name)
        continue
      }
      try found.add(.init(original: name, shape: Self.stated(shape, of: ours)), as: ours)
    }
    // A classifier reads the class token itself.
    if found.keys.contains(where: { $0.hasPrefix("classifier.") }) {
      for name in ["pooler.0.weight", "pooler.0.bias"] {
        if let source = found.removeValue(forKey: name) { unused.append(source.original) }
      }
    }
    let isNormedMean = naming.isTimm && names.contains { $0.name == "fc_norm.weight" }
    let shapes = PlainViTShapes(found.mapValues(\.shape), naming, stem: stem.layers)
    do throws(ModelError) {
      (config, notes) = try shapes.config(
        description, isNormedMean: isNormedMean, isMasked: isMasked)
    } catch { throw error.beside(found) }
    self.naming = naming
    tensors = found
  }

  /// Extents of 1 that stand in front of tokens and positions say nothing.
  private static func stated(_ shape: [Int], of ours: String) -> [Int] {
    let ranks = [
      "embeddings.position": 2, "embeddings.registers": 2, "embeddings.class": 1,
      "embeddings.distillation": 1,
    ]
    guard let rank = ranks[ours], shape.count > rank,
      shape.dropLast(rank).allSatisfy({ $0 == 1 })
    else { return shape }
    return Array(shape.suffix(rank))
  }
}

/// Works out the configuration from the shapes of the tensors, and from the description what shapes
/// cannot tell.
private struct PlainViTShapes {
  private let shapes: PatchTransformerShapes
  private let naming: PlainViTNaming
  private let stem: [PlainViTConfig.StemLayer]

  init(
    _ shapes: [String: [Int]], _ naming: PlainViTNaming, stem: [PlainViTConfig.StemLayer]
  ) {
    self.shapes = PatchTransformerShapes(shapes)
    (self.naming, self.stem) = (naming, stem)
  }

  /// - Parameters:
  ///   - isNormedMean: whether the last norm is behind the mean.
  ///   - isMasked: whether training's token for hidden patches is there.
  func config(
    _ description: JSONValue?, isNormedMean: Bool, isMasked: Bool
  ) throws(ModelError) -> (PlainViTConfig, notes: [Note]) {
    let (width, patchSize) = try patches()
    let registers =
      shapes["embeddings.registers"] == nil
      ? 0 : try shapes.shape("embeddings.registers", rank: 2)[0]
    let isRotary = naming.isRotary
    let isDistilled = shapes["embeddings.distillation"] != nil
    let layers = try shapes.layers()
    let hidden = try shapes.shape("layers.0.mlp.fc2.weight", rank: 2)[1]
    let facts = try PlainViTDescription(description, naming, "config.json", width: width)
    let (grid, hasClassPosition) =
      isRotary
      ? (MapExtent(height: 0, width: 0), false)
      : try shapes.table(
        // timm's may have no row for it.
        classToken: isDistilled || naming != .timm ? true : nil, others: isDistilled ? 1 : 0,
        stated: facts.wideImages.map {
          MapExtent(height: $0.height / patchSize, width: $0.width / patchSize)
        }, key: facts.wideKey)
    var config = PlainViTConfig(
      imageSize: 0, patchSize: patchSize,
      encoder: TransformerConfig(
        width: width, layers: layers, heads: facts.heads, hidden: hidden,
        activation: facts.activation, epsilon: facts.epsilon))
    config.stem = stem
    config.hasPreNorm = shapes["pre_norm.weight"] != nil
    // timm's have none before a norm, which has one.
    config.hasPatchBias =
      !stem.isEmpty || !config.hasPreNorm || shapes["embeddings.patch.bias"] != nil
    config.registers = registers
    config.hasClassPosition = hasClassPosition
    config.hasDistillationToken = isDistilled
    config.isFused = naming == .timm
    config.hasProjectionBias =
      shapes["layers.0.attention.\(config.isFused ? "qkv" : "q").bias"] != nil
    config.hasKeyBias =
      config.isFused ? config.hasProjectionBias : shapes["layers.0.attention.k.bias"] != nil
    config.rotaryBase = facts.rotaryBase
    config.usesLayerScale = shapes["layers.0.attention.gamma"] != nil
    config.mlp = try mlp(hidden)
    if config.mlp.isGated, naming != .dinov3 { config.encoder.activation = .silu }
    // transformers smooths those of models with registers alone, facebookresearch too; timm all.
    let isPlain = registers == 0 && (naming == .huggingFace || isMasked) || naming == .vit
    config.resampling = isPlain ? .bicubic : .antialiased
    if isRotary {
      // Angles suit any size, one that is no square as well.
      let size = facts.imageSizes.first?.value
      config.imageSize = size?.height ?? (naming == .dinov3 ? 224 : 256)
      if let size, size.width != size.height { config.imageWidth = size.width }
    } else {
      (config.imageSize, config.imageWidth) = try PatchTransformerShapes.image(
        grid, patchSize: patchSize, stated: facts.imageSizes, isExact: naming == .timm)
    }
    config.pooling = try pooling(facts, isNormedMean: isNormedMean)
    if let width = try poolerWidth() {
      config.pooler = [.linear(outputs: width, bias: true)] + facts.poolerActivation
    }
    let classes = try classCount(facts)
    if let classes {
      if naming == .huggingFace { config.pooling = .classAndMean }
      config.classifier = [.linear(outputs: classes, bias: true)]
    }
    try config.validate()
    try facts.check(config, classes: classes)
    return (config, facts.notes)
  }

  /// Of the one convolution that makes patches, or that the stem's are together.
  private func patches() throws(ModelError) -> (width: Int, size: Int) {
    guard let last = stem.last else { return try shapes.patches() }
    return (last.outputs, stem.reduce(1) { $0 * $1.kernel })
  }

  private func mlp(_ hidden: Int) throws(ModelError) -> PlainViTConfig.MLP {
    if shapes["layers.0.mlp.gate.weight"] != nil { return .splitGate }
    let rows = try shapes.shape("layers.0.mlp.fc1.weight", rank: 2)[0]
    let (double, overflow) = hidden.multipliedReportingOverflow(by: 2)
    return !overflow && rows == double ? .packedGate : .plain
  }

  private func pooling(
    _ facts: PlainViTDescription, isNormedMean: Bool
  ) throws(ModelError) -> PlainViTConfig.Pooling {
    let isTimmDistilled = naming == .timm && shapes["embeddings.distillation"] != nil
    if hasTwoClassifiers || facts.hasTwoClassifiers || isTimmDistilled {
      if let (field, name) = facts.pool, name != "token" {
        throw ModelError(
          .configuration(
            field: field, found: "'\(name)'", expected: "'token', as there is a distillation token")
        )
      }
      return .classAndDistillation
    }
    guard let (field, name) = facts.pool else { return isNormedMean ? .normedMean : .classToken }
    switch (name, isNormedMean) {
    case ("token", false): return .classToken
    case ("avg", false): return .mean
    case ("avg", true): return .normedMean
    default:
      throw ModelError(
        .configuration(
          field: field, found: "'\(name)'",
          expected: isNormedMean ? "'avg', as there is an fc_norm" : "'token' or 'avg'"))
    }
  }

  /// Rows of the classifier; nil where there is none, and none is asked for.
  private func classCount(_ facts: PlainViTDescription) throws(ModelError) -> Int? {
    try rows(of: "classifier.0", isNeeded: facts.classifies || hasTwoClassifiers)
  }

  /// Whether the class token and that of distillation have a classifier each.
  private var hasTwoClassifiers: Bool { shapes.hasModule("distilled_classifier.0") }

  /// Columns that the pooler makes; nil where there is none.
  private func poolerWidth() throws(ModelError) -> Int? {
    try rows(of: "pooler.0", isNeeded: false)
  }

  /// Outputs of a linear layer with a bias; nil where there is none of its tensors, and it is not
  /// needed.
  private func rows(of module: String, isNeeded: Bool) throws(ModelError) -> Int? {
    guard isNeeded || shapes.hasModule(module) else { return nil }
    for leaf in ["weight", "bias"] where shapes["\(module).\(leaf)"] == nil {
      throw ModelError(.missingTensor("\(module).\(leaf)"))
    }
    return try shapes.shape("\(module).weight", rank: 2)[0]
  }
}
