import VLMFoundation
import VLMTensor

/// Geometry of a network of bottlenecks: a MobileNetV4 or an EfficientViT.
package struct MobileNetConfig: Sendable, Equatable {
  /// A convolution with its norm folded, and the activation behind it; or what smooths a map and
  /// halves it.
  package struct Layer: Sendable, Equatable {
    /// Side of the kernel.
    package var kernel: Int
    package var stride: Int
    /// Nil for a depthwise one, which leaves as many channels as it reads.
    package var outputs: Int?
    package var activation: Activation
    /// What it is in the place of a convolution; such a layer has no weights. Nil for a convolution.
    package var smoothing: Smoothing?

    package init(kernel: Int, stride: Int = 1, outputs: Int?, activation: Activation = .none) {
      (self.kernel, self.stride) = (kernel, stride)
      (self.outputs, self.activation) = (outputs, activation)
    }

    init(_ smoothing: Smoothing) {
      self.init(kernel: smoothing == .mean ? 2 : 3, stride: 2, outputs: nil)
      self.smoothing = smoothing
    }
  }

  /// What stands in the place of strides in anti-aliased models (Zhang, "Making Convolutional
  /// Networks Shift-Invariant Again"), and halves a map.
  package enum Smoothing: String, Sendable, Equatable, CaseIterable {
    /// The mean of each square of two features along a side, which tile the map and leave out what
    /// fills none: timm's `aa_layer='avg'`.
    case mean
    /// The filter of one, two and one quarters along both sides, zeros around the map: timm's
    /// `aa_layer='blurpc'`.
    case blur
  }

  /// Layers one behind the other.
  package struct Bottleneck: Sendable, Equatable {
    package var layers: [Layer]
    /// Whether what they read is added to what they make.
    package var isResidual: Bool
    /// Whether what they make has a factor for each channel.
    package var hasScale: Bool

    package init(_ layers: [Layer], isResidual: Bool, hasScale: Bool = false) {
      (self.layers, self.isResidual, self.hasScale) = (layers, isResidual, hasScale)
    }
  }

  /// EfficientViT's attention, added to what it reads.
  package struct LinearMixer: Sendable, Equatable {
    package var heads: Int
    package var dimension: Int
    /// Sides of the kernels by which queries, keys and values are gathered from around; attention
    /// runs once for each, and once without.
    package var kernels: [Int]

    package init(heads: Int, dimension: Int, kernels: [Int]) {
      (self.heads, self.dimension, self.kernels) = (heads, dimension, kernels)
    }
  }

  /// MobileNetV4's attention, whose heads share their keys and values (Shazeer, "Fast Transformer
  /// Decoding: One Write-Head is All You Need"), added to what it reads.
  package struct SharedMixer: Sendable, Equatable {
    package var heads: Int
    package var dimension: Int
    /// Side of the kernel that halves the map that keys and values are made of; nil for the map
    /// itself.
    package var reduction: Int?
    package var hasScale: Bool

    package init(heads: Int, dimension: Int, reduction: Int?, hasScale: Bool) {
      (self.heads, self.dimension) = (heads, dimension)
      (self.reduction, self.hasScale) = (reduction, hasScale)
    }
  }

  package enum Block: Sendable, Equatable {
    case bottleneck(Bottleneck)
    case linearMixer(LinearMixer)
    case sharedMixer(SharedMixer)
  }

  package var stem: [Block]
  package var stages: [[Block]]
  /// On the last map, before its mean.
  package var final: Layer?
  /// On the mean.
  package var head: [HeadLayer]
  /// Whether the last of these gives classes.
  package var isClassifier: Bool

  /// Added to the sum of weights of linear attention.
  static let attentionEpsilon: Float = 1e-5

  package init(
    stem: [Block], stages: [[Block]], final: Layer? = nil, head: [HeadLayer] = [],
    isClassifier: Bool = false
  ) {
    (self.stem, self.stages, self.final) = (stem, stages, final)
    (self.head, self.isClassifier) = (head, isClassifier)
  }

  /// All blocks in their order.
  private var blocks: [Block] { stem + stages.flatMap { $0 } }

  /// Channels of the last map, before `final`.
  var channels: Int { blocks.reduce(3) { $1.outputs($0) } }
  /// Columns of the mean.
  var pooledChannels: Int { final?.outputs ?? channels }
  /// Numbers that stand for a picture.
  var vectorWidth: Int {
    (isClassifier ? Array(head.dropLast()) : head).outputs(inputs: pooledChannels)
  }
  /// Pixels from one position of the last map to the next.
  package var stride: Int { blocks.reduce(1) { $0 * $1.stride } }
}

extension MobileNetConfig.Block {
  /// Channels of the map that leaves it.
  func outputs(_ inputs: Int) -> Int {
    guard case .bottleneck(let block) = self else { return inputs }
    return block.layers.reduce(inputs) { $1.outputs ?? $0 }
  }

  var stride: Int {
    guard case .bottleneck(let block) = self else { return 1 }
    return block.layers.reduce(1) { $0 * $1.stride }
  }
}

// MARK: - Limits

extension MobileNetConfig {
  static let maximumStages = 16
  /// Of a stage.
  static let maximumBlocks = 256
  /// Of a block.
  static let maximumLayers = 8
  private static let maximumStride = 1024

  /// Refuses what no such network has, so that later arithmetic on the numbers cannot overflow.
  package func validate(_ place: String = MobileNetFamily.name) throws(ModelError) {
    try ModelError.check("\(place).stages", stages.count, 1...Self.maximumStages)
    var (channels, stride) = (3, 1)
    for (index, stage) in ([stem] + stages).enumerated() {
      let stageName = index == 0 ? "\(place).stem" : "\(place).stages[\(index - 1)]"
      try ModelError.check(stageName, stage.count, 1...Self.maximumBlocks)
      for (number, block) in stage.enumerated() {
        let name = "\(stageName)[\(number)]"
        try block.validate(name, inputs: channels)
        channels = block.outputs(channels)
        stride *= block.stride
        try ModelError.check("\(name).stride", stride, 1...Self.maximumStride)
      }
    }
    if let final {
      try final.validate("\(place).final", inputs: channels)
      guard final.kernel == 1, final.stride == 1, final.outputs != nil else {
        throw ModelError(
          .configuration(
            field: "\(place).final.kernel", found: "\(final.kernel)", expected: "1, stride 1"))
      }
    }
    try head.validate("\(place).head")
    guard !isClassifier || head.last.map({ if case .linear = $0 { true } else { false } }) ?? false
    else {
      throw ModelError(
        .configuration(
          field: "\(place).head", found: "no linear layer at its end", expected: "a classifier"))
    }
  }
}

extension MobileNetConfig.Block {
  fileprivate func validate(_ name: String, inputs: Int) throws(ModelError) {
    let columns = 1...TensorFormat.maximumInputs
    switch self {
    case .bottleneck(let block):
      try ModelError.check(
        "\(name).layers", block.layers.count, 1...MobileNetConfig.maximumLayers)
      var channels = inputs
      var stride = 1
      for (index, layer) in block.layers.enumerated() {
        try layer.validate("\(name).layers[\(index)]", inputs: channels)
        channels = layer.outputs ?? channels
        stride *= layer.stride
      }
      guard block.layers.last?.smoothing == nil || !block.hasScale else {
        throw ModelError(
          .configuration(
            field: "\(name).scale", found: "true",
            expected: "false, as the last layer smooths"))
      }
      guard !block.isResidual || stride == 1 && channels == inputs else {
        throw ModelError(
          .configuration(
            field: "\(name).residual", found: "true",
            expected: "false, as the map that leaves has another shape"))
      }
    case .linearMixer(let mixer):
      try ModelError.check("\(name).heads", mixer.heads, 1...4096)
      try ModelError.check("\(name).dimension", mixer.dimension, 1...4096)
      try ModelError.check("\(name).kernels", mixer.kernels.count, 0...8)
      for kernel in mixer.kernels { try Self.checkKernel("\(name).kernels", kernel) }
      let joint = mixer.heads * mixer.dimension * 3
      try ModelError.check("\(name).heads", joint, columns)
      try ModelError.check(
        "\(name).kernels", joint / 3 * (1 + mixer.kernels.count), columns)
    case .sharedMixer(let mixer):
      try ModelError.check("\(name).heads", mixer.heads, 1...4096)
      try ModelError.check("\(name).dimension", mixer.dimension, 1...4096)
      try ModelError.check("\(name).heads", mixer.heads * mixer.dimension, columns)
      if let kernel = mixer.reduction { try Self.checkKernel("\(name).reduction", kernel) }
    }
  }

  fileprivate static func checkKernel(_ name: String, _ kernel: Int) throws(ModelError) {
    guard kernel % 2 == 1, (1...63).contains(kernel) else {
      throw ModelError(
        .configuration(field: name, found: "\(kernel)", expected: "an odd number up to 63"))
    }
  }
}

extension MobileNetConfig.Layer {
  fileprivate func validate(_ name: String, inputs: Int) throws(ModelError) {
    if let smoothing {
      let usual = Self(smoothing)
      guard self == usual else {
        throw ModelError(
          .configuration(
            field: "\(name).\(smoothing.rawValue)", found: "kernel \(kernel), stride \(stride)",
            expected: "kernel \(usual.kernel) and stride \(usual.stride), without outputs and "
              + "activation"))
      }
      return
    }
    try MobileNetConfig.Block.checkKernel("\(name).kernel", kernel)
    try ModelError.check("\(name).stride", stride, 1...4)
    guard let outputs else { return }
    let columns = 1...TensorFormat.maximumInputs
    try ModelError.check("\(name).outputs", outputs, columns)
    try ModelError.check("\(name).kernel", kernel * kernel * inputs, columns)
  }
}
