import VLMFoundation
import VLMTensor

extension PlainViTConfig: VisionTowerConfig {
  package static var family: String { PlainViTFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize, channels: encoder.width, takesAnyAspect: true, trainedSide: imageSize,
      maximumBatch: 1)
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
    precondition(input.batch == 1, "one picture at a time")
    return try PlainViTContext(self, input, pool: pool, kernels: kernels)
  }
}

/// A plain vision transformer with the memory of a pass over pictures of one size, one at a time: a
/// transformer's rows fill the machine.
final class PlainViTContext: TowerContext {
  private let model: PlainViT
  let input: FeatureShape
  /// Patches.
  let grid: MapExtent
  let transformer: TransformerContext
  /// Of a model that makes patches in several steps.
  let stemMaps: PlainViTStem.Maps?
  /// Of a model whose positions are angles.
  let rotation: PatchRotation?
  private let pixelMemory: Activations
  /// The residual stream, and the room that it goes over.
  private let streams: [Activations]
  private let rows: Int

  /// - Throws: `ModelError` when the picture has no whole patch, or needs more memory than the
  ///   machine has.
  init(
    _ model: PlainViT, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let (config, format) = (model.config, model.keyValueFormat)
    let patch = config.patchSize
    // Larger pictures are refused by memory; this keeps the arithmetic from overflowing.
    guard input.height >= patch, input.width >= patch, input.height <= 1 << 20,
      input.width <= 1 << 20
    else {
      throw ModelError(
        .image(
          found: "\(input.width)×\(input.height) pixels",
          expected: "at least \(patch)×\(patch), one patch"))
    }
    let grid = config.grid(height: input.height, width: input.width)
    self.grid = grid
    rows = grid.count + config.prefix
    let stems = config.stemExtents(grid)
    // The windows of a line of any map of the stem are rows, too.
    let room = max(rows, stems.map(\.width).max() ?? 0)
    let inputs = max(config.widest, config.widestStemWindow)
    let plan = TransformerPlan(config.encoder, rows: room, inputs: inputs)
    let maps = zip(config.stem, stems).dropLast().reduce(0) { $0 + $1.0.outputs * $1.1.count }
    // Pixels, both streams, and the positions: a row's angles are fewer than its columns.
    let own = (input.elementCount + maps + 3 * rows * config.encoder.width) * 4
    let byteCount = plan.byteCount(format).flatMap { bytes in
      let (sum, overflow) = bytes.addingReportingOverflow(own)
      return overflow ? nil : sum
    }
    try MemoryLimit.check(byteCount, height: input.height, width: input.width)
    (self.model, self.input) = (model, input)
    rotation = config.rotaryBase.map { base in
      PatchRotation(grid, base: base, headDimension: config.encoder.headDimension)
    }
    stemMaps = config.stem.isEmpty ? nil : PlainViTStem.Maps(config, grid)
    pixelMemory = Activations(count: input.elementCount)
    let count = rows * config.encoder.width
    streams = [Activations(count: count), Activations(count: count)]
    transformer = TransformerContext(
      config.encoder, rows: room, inputs: inputs, format: format, pool: pool,
      kernels: kernels)
  }

  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }
  /// `[prefix + patches, width]`.
  var tokens: MatrixView { stream(0) }
  var otherTokens: MatrixView { stream(1) }

  private func stream(_ index: Int) -> MatrixView {
    streams[index].matrix(rows: rows, columns: model.config.encoder.width)
  }

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
    let logits = model.classify(pooled)
    observe.show(PlainViTPoint.logits, logits)
    guard !model.config.isJoint else {
      return [ImageVector(embedding: (logits ?? pooled).unitLength)]
    }
    return [ImageVector(embedding: pooled, logits: logits)]
  }
}
