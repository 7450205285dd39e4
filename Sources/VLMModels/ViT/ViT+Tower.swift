import VLMFoundation
import VLMTensor

extension ViTConfig: PatchTransformerConfig {
  package static var family: String { ViTFamily.name }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: patchSize, channels: featureColumns, takesAnyAspect: false, trainedSide: imageSize,
      maximumBatch: 1)
  }

  package var leastLayers: Int { feature.isVector ? 1 : 0 }

  package var givesMap: Bool { feature == .patches }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard !feature.isVector, classifier.isEmpty else {
      throw ModelError(
        .configuration(
          field: "\(path).feature", found: "'\(feature.rawValue)'",
          expected: "'patches' or 'tokens'"))
    }
  }

  package var vector: TowerVector? {
    guard feature.isVector else { return nil }
    return TowerVector(
      width: projection ?? encoder.width, isJoint: projection != nil,
      isProjected: projection != nil, classCount: classCount)
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try ViT(weights, self)
  }
}

extension ViT: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    try ViTContext(self, input, pool: pool, kernels: kernels)
  }
}

extension ViTConfig {
  /// What a pass over a picture needs, which the machine has.
  func plan(
    _ input: FeatureShape, _ format: KeyValueFormat
  ) throws(ModelError) -> PatchPlan {
    let plan = try PatchPlan(self, input, others: usesClassToken ? 1 : 0)
    try plan.checkMemory(format)
    return plan
  }
}

/// A ViT with the memory of a pass over pictures of one size.
private final class ViTContext: PatchContext, TowerContext, @unchecked Sendable {
  private let model: ViT

  init(
    _ model: ViT, _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet
  ) throws(ModelError) {
    let format = model.keyValueFormat
    let plan = try model.config.plan(input, format)
    self.model = model
    super.init(plan, format: format, pool: pool, kernels: kernels)
  }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let tokens = try model(self, cancelled: cancelled, observe: observe)
    let feature = model.feature(tokens, self)
    // With the class token there is one row more than the grid has.
    let isGrid = model.config.feature == .patches
    let extent = isGrid ? grid : MapExtent(height: 1, width: feature.rows)
    observe?(Observation(ViTPoint.features, feature, .map(extent.shape(feature.columns))))
    return FeatureGrid(view: feature, shape: extent.shape(feature.columns))
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let selected = ObservationRole.layer(model.config.encoder.layers - 1)
    let tokens = try model(self, cancelled: cancelled) { [grid] seen in
      observe?(seen)
      guard seen.role == selected else { return }
      let patches = seen.value[seen.value.rows - grid.count..<seen.value.rows]
      observe?(Observation(ViTPoint.selected, patches, .tokens))
    }
    let feature = model.feature(tokens, self)
    observe?(Observation(ViTPoint.last, tokens, .tokens))
    observe?(Observation(ViTPoint.pooled, feature, .vectors))
    let pooled = feature.array()
    let joint = model.project(pooled)
    let logits = model.classify(joint ?? pooled)
    observe.show(ViTPoint.logits, logits)
    observe.show(ViTPoint.projected, joint)
    return [ImageVector(embedding: joint?.unitLength ?? pooled, logits: logits)]
  }
}

extension TowerObserver? {
  /// Shows a vector that is in no context's memory.
  func show(_ point: any ObservationPoint, _ values: [Float]?) {
    guard let self, let values else { return }
    let memory = Activations(count: values.count)
    let row = memory.matrix(rows: 1, columns: values.count)
    row.assign(values)
    withExtendedLifetime(memory) { self(Observation(point, row, .vectors)) }
  }
}

extension MapExtent {
  /// A picture's map of this extent.
  func shape(_ channels: Int) -> FeatureShape {
    FeatureShape(batch: 1, height: height, width: width, channels: channels)
  }
}
