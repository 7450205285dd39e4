import VLMFoundation
import VLMTensor

/// A MobileNetV4 or an EfficientViT as timm computes it, one picture at a time, with batch norms
/// folded into convolutions.
package struct MobileNet: Sendable {
  package let config: MobileNetConfig
  let kernels: KernelSet
  private let stem: [MobileNetBlock]
  private let stages: [[MobileNetBlock]]
  private let final: MobileNetLayer?
  private let head: HeadStack

  /// - Throws: `ModelError` when a tensor is missing or has another shape.
  package init(_ weights: Weights, _ config: MobileNetConfig) throws(ModelError) {
    self.config = config
    kernels = weights.kernels
    var channels = 3
    func blocks(
      _ weights: Weights, _ blocks: [MobileNetConfig.Block]
    ) throws(ModelError) -> [MobileNetBlock] {
      var result: [MobileNetBlock] = []
      for (index, block) in blocks.enumerated() {
        result.append(try MobileNetBlock(weights[index], block, inputs: channels))
        channels = block.outputs(channels)
      }
      return result
    }
    stem = try blocks(weights["stem"], config.stem)
    var stages: [[MobileNetBlock]] = []
    for (index, stage) in config.stages.enumerated() {
      stages.append(try blocks(weights["stages"][index], stage))
    }
    self.stages = stages
    final = try config.final.map { layer throws(ModelError) in
      try MobileNetLayer(weights["final"], layer, inputs: channels)
    }
    head = try HeadStack(weights["head"], inputs: config.pooledChannels, config.head)
  }

  /// How contexts keep keys and values of attention.
  var keyValueFormat: KeyValueFormat {
    stages.lazy.flatMap { $0 }.compactMap(\.keyValueFormat).first ?? .f32
  }

  /// Runs the network up to its last stage on the picture that `context.pixels` holds.
  ///
  /// - Parameter cancelled: looked at before each block.
  /// - Returns: the last map, in the context's memory.
  /// - Throws: `ModelError` with `.cancelled` once the flag is.
  func map(
    _ context: MobileNetContext, cancelled: CancellationFlag?, observe: TowerObserver?
  ) throws(ModelError) -> FeatureMap {
    var map = FeatureMap(view: context.pixels, shape: context.input)
    for block in stem {
      try ModelError.check(cancelled)
      map = block(map, context)
    }
    observe?(Observation(ConvolutionPoint.stem, map.view, .map(map.shape)))
    for (index, stage) in stages.enumerated() {
      for block in stage {
        try ModelError.check(cancelled)
        map = block(map, context)
      }
      observe?(Observation(ConvolutionPoint.stage(index), map.view, .map(map.shape)))
    }
    observe?(Observation(ConvolutionPoint.features, map.view, .map(map.shape)))
    return map
  }

  /// The last convolution, where there is one.
  func finish(_ map: FeatureMap, _ context: MobileNetContext) -> FeatureMap {
    guard let final else { return map }
    let next = context.nextMap(final.output(map.shape))
    final(map, into: next.view, context)
    return next
  }

  /// What the head makes of the pooled vector.
  func vector(_ pooled: [Float]) -> ImageVector {
    guard config.isClassifier else { return ImageVector(embedding: head(pooled, rows: 1)) }
    var before = pooled
    let count = config.head.count
    let logits = head(pooled, rows: 1) { index, values in
      if index == count - 2 { before = values.array() }
    }
    return ImageVector(embedding: before, logits: logits)
  }
}

/// One block of a stage.
enum MobileNetBlock: Sendable {
  case bottleneck(Bottleneck)
  case linearMixer(LinearMixer)
  case sharedMixer(SharedMixer)

  init(
    _ weights: Weights, _ block: MobileNetConfig.Block, inputs: Int
  ) throws(ModelError) {
    switch block {
    case .bottleneck(let config):
      self = .bottleneck(try Bottleneck(weights, config, inputs: inputs))
    case .linearMixer(let config):
      self = .linearMixer(try LinearMixer(weights, config, channels: inputs))
    case .sharedMixer(let config):
      self = .sharedMixer(try SharedMixer(weights, config, channels: inputs))
    }
  }

  /// How attention wants its keys and values; nil for a block without.
  var keyValueFormat: KeyValueFormat? {
    if case .sharedMixer(let mixer) = self { mixer.keyValueFormat } else { nil }
  }

  func callAsFunction(_ x: FeatureMap, _ context: MobileNetContext) -> FeatureMap {
    switch self {
    case .bottleneck(let block): block(x, context)
    case .linearMixer(let mixer): mixer(x, context)
    case .sharedMixer(let mixer): mixer(x, context)
    }
  }

  /// Layers one behind the other: `residual + gamma * layers(x)`.
  struct Bottleneck: Sendable {
    private let layers: [MobileNetLayer]
    private let gamma: Tensor?
    private let isResidual: Bool

    init(
      _ weights: Weights, _ config: MobileNetConfig.Bottleneck, inputs: Int
    ) throws(ModelError) {
      var channels = inputs
      var layers: [MobileNetLayer] = []
      for (index, layer) in config.layers.enumerated() {
        layers.append(try MobileNetLayer(weights[index], layer, inputs: channels))
        channels = layer.outputs ?? channels
      }
      self.layers = layers
      gamma = try weights.vector("gamma", channels, if: config.hasScale)
      isResidual = config.isResidual
    }

    func callAsFunction(_ input: FeatureMap, _ context: MobileNetContext) -> FeatureMap {
      var x = input
      for (index, layer) in layers.enumerated() {
        let shape = layer.output(x.shape)
        guard index < layers.count - 1 else {
          let y = context.nextMap(shape)
          layer(
            x, into: y.view, gamma: gamma, residual: isResidual ? input.view : nil, context)
          return y
        }
        let y = context.innerMap(index % 2, shape)
        layer(x, into: y.view, context)
        x = y
      }
      return x
    }
  }
}
