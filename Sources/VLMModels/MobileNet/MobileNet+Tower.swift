import VLMFoundation
import VLMTensor

extension MobileNetConfig: VisionTowerConfig {
  package static var family: String { MobileNetFamily.name }

  /// Convolutions run tile by tile.
  package var sharesProducts: Bool { false }

  package var geometry: TowerGeometry {
    TowerGeometry(stride: stride, channels: channels, takesAnyAspect: true, maximumBatch: 1)
  }

  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    let plan = try MobileNetPlan(
      self, input: FeatureShape(batch: 1, height: height, width: width, channels: 3))
    return MapExtent(height: plan.output.height, width: plan.output.width)
  }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard head.isEmpty, final == nil else {
      throw ModelError(
        .configuration(field: "\(path).layers", found: "a head", expected: "none"))
    }
  }

  package var vector: TowerVector? {
    TowerVector(
      width: vectorWidth,
      classCount: isClassifier ? head.outputs(inputs: pooledChannels) : nil)
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try MobileNet(weights, self)
  }
}

extension MobileNet: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    try MobileNetContext(self, input, pool: pool, kernels: kernels)
  }
}
