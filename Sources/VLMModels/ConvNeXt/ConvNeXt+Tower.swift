import VLMFoundation
import VLMTensor

extension ConvNeXtConfig: VisionTowerConfig {
  /// Blocks and convolutions run tile by tile.
  package var sharesProducts: Bool { false }

  package static var family: String { ConvNeXtFamily.name }

  /// Its own errors name the field within a ConvNeXt, wherever that stands.
  package init(json: JSONValue, path: String) throws(ModelError) { try self.init(json: json) }
  package func validate(_ path: String) throws(ModelError) { try validate() }

  package var geometry: TowerGeometry {
    TowerGeometry(
      inputChannels: inputChannels, stride: stride, channels: featureChannels, takesAnyAspect: true)
  }

  package func grid(height: Int, width: Int) throws(ModelError) -> MapExtent {
    var (lines, columns) = (height, width)
    let geometries = stemConvolutions.map(\.geometry) + stages.compactMap(\.downsample)
    for geometry in geometries {
      (lines, columns) = (geometry.outputExtent(lines), geometry.outputExtent(columns))
    }
    guard lines > 0, columns > 0 else {
      throw ModelError(
        .image(
          found: "\(width)×\(height) pixels",
          expected: "at least \(stride)×\(stride), the product of the model's strides"))
    }
    return MapExtent(height: lines, width: columns)
  }

  package func requireGrid(_ path: String) throws(ModelError) {
    guard head == .none else {
      throw ModelError(.configuration(field: "\(path).head", found: "a head", expected: "none"))
    }
    guard inputChannels == 3 else {
      throw ModelError(
        .configuration(
          field: "\(path).input_channels", found: "\(inputChannels)",
          expected: "3, as images have"))
    }
  }

  package var vector: TowerVector? {
    guard let output = head.output else { return TowerVector(width: pooledChannels) }
    switch output.meaning {
    case .embedding: return TowerVector(width: output.count, isJoint: true)
    case .classes: return TowerVector(width: pooledChannels, classCount: output.count)
    }
  }

  package func tower(_ weights: Weights) throws(ModelError) -> any VisionTower {
    try ConvNeXt(weights, self)
  }

  /// Pixels from one row of the last feature map to the next.
  package var stride: Int {
    let strides =
      stemConvolutions.map(\.geometry.stride) + stages.compactMap { $0.downsample?.stride }
    return strides.reduce(1, *)
  }
}

extension ConvNeXtConfig.Head {
  /// No head: the trunk alone.
  package static let none = ConvNeXtConfig.Head(
    normBeforePool: false, normAfterPool: false, hidden: nil, hiddenBias: false, output: nil)
}

extension ConvNeXt: VisionTower {
  package func context(
    _ input: FeatureShape, pool: WorkerPool, kernels: KernelSet, options: TowerOptions
  ) throws(ModelError) -> any TowerContext {
    ConvNeXtTowerContext(
      self, input,
      try ConvNeXtContext(
        config, capacity: input, pool: pool, kernels: kernels, wideElements: options.wideElements))
  }
}

/// A ConvNeXt over batches of one size.
private final class ConvNeXtTowerContext: TowerContext {
  private let model: ConvNeXt
  private let memory: ConvNeXtContext
  let input: FeatureShape

  init(_ model: ConvNeXt, _ input: FeatureShape, _ memory: ConvNeXtContext) {
    (self.model, self.input, self.memory) = (model, input, memory)
  }

  var pixels: MatrixView { memory.input(input) }

  func features(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> FeatureGrid {
    let map = try model.features(input, memory, cancelled: cancelled, observe: observe)
    observe?(Observation(ConvNeXtPoint.features, map.view, .map(map.shape)))
    return FeatureGrid(view: map.view, shape: map.shape)
  }

  func vectors(
    observe: TowerObserver?, cancelled: CancellationFlag?
  ) throws(ModelError) -> [ImageVector] {
    let output = try model(input, memory, cancelled: cancelled, observe: observe)
    let classes = model.config.vector?.classCount ?? 0
    let width = output.embeddingCount
    return (0..<input.batch).map { index in
      ImageVector(
        embedding: Array(output.embedding[index * width..<(index + 1) * width]),
        logits: output.logits.flatMap { logits in
          classes > 0 ? Array(logits[index * classes..<(index + 1) * classes]) : nil
        })
    }
  }
}
