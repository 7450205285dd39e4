import VLMFoundation
import VLMTensor

extension SigLIPConfig: PatchTransformerConfig {
  package static var family: String { SigLIPFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize, channels: featureColumns, takesAnyAspect: isFlattened,
      trainedSide: isFlattened || imageWidth != nil ? nil : imageSize, maximumBatch: 1)
  }

  package var leastLayers: Int { feature.isVector ? 1 : 0 }

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
    try SigLIPContext(self, input, pool: pool, kernels: kernels)
  }
}

/// A SigLIP with the memory of a pass over pictures of one size; the residual stream has a row more for
/// the probe.
final class SigLIPContext: PatchContext, TowerContext, @unchecked Sendable {
  private let model: SigLIP

  /// - Throws: `ModelError` when the picture has no whole patch, or needs more memory than the
  ///   machine has.
  init(
    _ model: SigLIP, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let format = model.keyValueFormat
    let plan = try PatchPlan(model.config, input, others: 1)
    try plan.checkMemory(format)
    self.model = model
    super.init(plan, format: format, pool: pool, kernels: kernels)
  }

  /// `[patches, width]`.
  var tokens: MatrixView { rows[0..<grid.count] }
  /// `[1, width]`.
  var probeRow: MatrixView { rows[grid.count..<grid.count + 1] }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let tokens = features(try model.tokens(self, cancelled: cancelled, observe: observe))
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
