import VLMFoundation
import VLMTensor

extension SigLIPConfig: VisionTowerConfig {
  package static var family: String { SigLIPFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize, channels: encoder.width, takesAnyAspect: isFlattened,
      trainedSide: isFlattened ? nil : imageSize, maximumBatch: 1)
  }

  /// Patches of a picture; rows and columns of pixels that fill none are dropped.
  package func grid(height: Int, width: Int) -> MapExtent {
    MapExtent(height: height / patchSize, width: width / patchSize)
  }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard feature == .patches else {
      throw ModelError(
        .configuration(
          field: "\(path).feature", found: "'\(feature.rawValue)'", expected: "'patches'"))
    }
  }

  package var vector: TowerVector? {
    feature.isVector
      ? TowerVector(width: encoder.width, isJoint: isJoint, classCount: classCount) : nil
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try SigLIP(weights, self)
  }
}

extension SigLIP: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    precondition(input.batch == 1, "one picture at a time")
    return try SigLIPContext(self, input, pool: pool, kernels: kernels)
  }
}

/// A SigLIP with the memory of a pass over pictures of one size, one at a time: a transformer's rows
/// fill the machine.
final class SigLIPContext: TowerContext {
  private let model: SigLIP
  let input: FeatureShape
  /// Patches.
  let grid: MapExtent
  let transformer: TransformerContext
  private let pixelMemory: Activations
  /// The residual stream, and a row more for the probe.
  private let rows: Activations

  /// - Throws: `ModelError` when the picture has no whole patch, or needs more memory than the
  ///   machine has.
  init(
    _ model: SigLIP, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let (config, format) = (model.config, model.keyValueFormat)
    let plan = try SigLIPPlan(config, height: input.height, width: input.width, format)
    try MemoryLimit.check(plan.byteCount, height: input.height, width: input.width)
    (self.model, self.input, grid) = (model, input, plan.grid)
    pixelMemory = Activations(count: input.elementCount)
    rows = Activations(count: plan.rows * config.encoder.width)
    transformer = TransformerContext(
      config.encoder, rows: plan.rows, inputs: config.patchInputs, format: format, pool: pool,
      kernels: kernels)
  }

  var pixels: MatrixView { pixelMemory.matrix(rows: input.rows, columns: input.channels) }
  /// `[patches, width]`.
  var tokens: MatrixView { tokensAndProbe[0..<grid.count] }
  /// `[1, width]`.
  var probeRow: MatrixView { tokensAndProbe[grid.count..<grid.count + 1] }
  var tokensAndProbe: MatrixView {
    rows.matrix(rows: grid.count + 1, columns: model.config.encoder.width)
  }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let tokens = try model.tokens(self, cancelled: cancelled, observe: observe)
    let shape = grid.shape(tokens.columns)
    observe?(Observation(SigLIPPoint.features, tokens, .map(shape)))
    return FeatureGrid(view: tokens, shape: shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let tokens = try model.tokens(self, cancelled: cancelled, observe: observe)
    let pooled = model.pooled(tokens, self, observe: observe)
    observe?(Observation(SigLIPPoint.pooled, pooled, .vectors))
    let embedding = pooled.array()
    let logits = model.classify(embedding)
    observe.show(SigLIPPoint.logits, logits)
    return [
      ImageVector(
        embedding: model.config.isJoint ? embedding.unitLength : embedding, logits: logits)
    ]
  }
}

/// Sizes of everything that a pass needs, from shapes alone.
struct SigLIPPlan {
  let grid: MapExtent
  /// Tokens, and one more for the probe.
  let rows: Int
  /// Nil when it overflows.
  let byteCount: Int?

  init(
    _ config: SigLIPConfig, height: Int, width: Int, _ format: KeyValueFormat
  ) throws(ModelError) {
    let patch = config.patchSize
    // Larger pictures are refused by memory; this keeps the arithmetic from overflowing.
    guard height >= patch, width >= patch, height <= 1 << 20, width <= 1 << 20 else {
      throw ModelError(
        .image(
          found: "\(width)×\(height) pixels", expected: "at least \(patch)×\(patch), one patch"))
    }
    grid = config.grid(height: height, width: width)
    rows = grid.count + 1
    let layers = TransformerPlan(config.encoder, rows: rows, inputs: config.patchInputs)
    // Pixels, the residual stream, and the positions.
    let own = (height * width * 3 + 2 * rows * config.encoder.width) * 4
    byteCount = layers.byteCount(format).flatMap { bytes in
      let (sum, overflow) = bytes.addingReportingOverflow(own)
      return overflow ? nil : sum
    }
  }
}
