import VLMFoundation
import VLMTensor

extension FastViTConfig: VisionTowerConfig {
  package static var family: String { FastViTFamily.name }

  /// Blocks and convolutions run tile by tile.
  package var sharesProducts: Bool { false }

  package var geometry: TowerGeometry {
    TowerGeometry(
      stride: stride, channels: outputs, takesAnyAspect: true, trainedSide: imageSize,
      maximumBatch: 1)
  }

  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    let plan = try FastViTPlan(
      self, input: FeatureShape(batch: 1, height: height, width: width, channels: 3),
      wideElements: 0)
    return MapExtent(height: plan.output.height, width: plan.output.width)
  }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard feature == .map else {
      throw ModelError(
        .configuration(
          field: "\(path).feature", found: "'\(feature.rawValue)'", expected: "'map'"))
    }
  }

  package var vector: TowerVector? {
    guard feature == .pooled else { return nil }
    switch head?.kind {
    case .embedding: return TowerVector(width: head?.count ?? outputs, isJoint: true)
    case .classes: return TowerVector(width: outputs, classCount: head?.count)
    case nil: return TowerVector(width: outputs)
    }
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try FastViT(weights, self)
  }
}

extension FastViT: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    try FastViTContext(
      self, input, pool: pool, kernels: kernels, wideElements: options.wideElements)
  }
}
