import VLMFoundation
import VLMTensor

extension PlainViTConfig: PatchTransformerConfig {
  package static var family: String { PlainViTFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize, channels: encoder.width, takesAnyAspect: true,
      trainedSide: imageWidth == nil ? imageSize : nil, maximumBatch: 1)
  }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard classifier.isEmpty else {
      throw ModelError(
        .configuration(field: "\(path).classifier", found: "a classifier", expected: "none"))
    }
  }

  package var vector: TowerVector? {
    TowerVector(
      width: isJoint ? headOutputs ?? vectorWidth : vectorWidth, isJoint: isJoint,
      classCount: classCount)
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try PlainViT(weights, self)
  }
}

extension PlainViT: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    try PlainViTContext(self, input, pool: pool, kernels: kernels)
  }
}

/// A plain vision transformer with the memory of a pass over pictures of one size.
final class PlainViTContext: PatchContext, TowerContext, @unchecked Sendable {
  private let model: PlainViT
  /// Of a model that makes patches in several steps.
  let stemMaps: PlainViTStem.Maps?
  /// Of a model whose positions are angles.
  let rotation: PatchRotation?
  /// The room that the residual stream goes over.
  private let otherStream: Activations

  /// - Throws: `ModelError` when the picture has no whole patch, or needs more memory than the
  ///   machine has.
  init(
    _ model: PlainViT, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let (config, format) = (model.config, model.keyValueFormat)
    var plan = try PatchPlan(config, input, others: config.prefix)
    let stems = config.stemExtents(plan.grid)
    // The windows of a line of any map of the stem are rows, too.
    plan.layerRows.grow(to: stems.map(\.width).max() ?? 0)
    plan.inputs = max(config.widest, config.widestStemWindow)
    let maps = zip(config.stem, stems).dropLast().reduce(0) { $0 + $1.0.outputs * $1.1.count }
    // A row's angles, for which there is no table, are fewer than its columns.
    let streamCount = plan.rows * config.encoder.width
    plan.otherElements = maps + streamCount
    try plan.checkMemory(format)
    self.model = model
    rotation = config.rotaryBase.map { base in
      PatchRotation(plan.grid, base: base, headDimension: config.encoder.headDimension)
    }
    stemMaps = config.stem.isEmpty ? nil : PlainViTStem.Maps(config, plan.grid)
    otherStream = Activations(count: streamCount)
    super.init(plan, format: format, pool: pool, kernels: kernels)
  }

  /// As `rows`, `[prefix + patches, width]`.
  var otherRows: MatrixView { otherStream.matrix(rows: rows.rows, columns: rows.columns) }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    patches(try model.tokens(self, cancelled: cancelled, observe: observe), observe)
  }

  private func patches(_ tokens: MatrixView, _ observe: TowerObserver?) -> FeatureGrid {
    let patches = tokens[model.config.prefix..<tokens.rows]
    let shape = grid.shape(patches.columns)
    observe?(Observation(PlainViTPoint.features, patches, .map(shape)))
    return FeatureGrid(view: patches, shape: shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let tokens = try model.tokens(self, cancelled: cancelled, observe: observe)
    _ = patches(tokens, observe)
    let pooled = model.pooled(tokens)
    observe.show(PlainViTPoint.pooled, pooled)
    let logits = model.classify(pooled, tokens)
    observe.show(PlainViTPoint.logits, logits)
    guard !model.config.isJoint else {
      return [ImageVector(embedding: (logits ?? pooled).unitLength)]
    }
    return [ImageVector(embedding: pooled, logits: logits)]
  }
}
