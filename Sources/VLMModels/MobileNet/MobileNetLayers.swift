import VLMFoundation
import VLMTensor

/// The layers of a network, one after the other, as they are found.
struct MobileNetLayers {
  var tensors: ConvolutionTensors
  let activation: Activation
  let epsilon: Float
  /// Whether a description says which model it is.
  let isStated: Bool
  /// What stands in the place of strides but that of the stem; nil for these.
  var smoothing: MobileNetConfig.Smoothing?
  /// Channels that leave what was read last.
  var channels = 3
  /// The same behind the stem, and behind each stage.
  var widths: [Int] = []
  /// Columns of a head of linear attention; nil before one is read.
  var dimension: Int?

  init(
    _ tensors: ConvolutionTensors, _ activation: Activation, epsilon: Float, isStated: Bool
  ) {
    (self.tensors, self.activation, self.epsilon) = (tensors, activation, epsilon)
    self.isStated = isStated
    self.tensors.epsilon = epsilon
  }

  typealias Layer = MobileNetConfig.Layer
  typealias Block = MobileNetConfig.Block

  /// One convolution, with the norm behind it folded.
  ///
  /// - Parameters:
  ///   - norm: nil where there is none; the convolution has a bias then.
  ///   - activation: nil for that of the network.
  mutating func layer(
    _ name: String, norm: String?, _ ours: String, isDepthwise: Bool = false, stride: Int = 1,
    activation: Activation? = nil
  ) throws(ModelError) -> Layer {
    let kernel = try tensors.shape(name + ".weight", rank: 4)[3]
    let outputs = try tensors.folded(
      name, norm: norm, ours,
      isDepthwise ? [channels, 1, kernel, kernel] : [-1, channels, kernel, kernel],
      isMatrix: !isDepthwise && kernel == 1 && stride == 1)
    channels = outputs
    return Layer(
      kernel: kernel, stride: stride, outputs: isDepthwise ? nil : outputs,
      activation: activation ?? self.activation)
  }

  /// The last linear layer, where there is one.
  mutating func classifier(
    _ name: String, _ config: inout MobileNetConfig
  ) throws(ModelError) {
    guard tensors.has(name + ".weight") else { return }
    let count = try tensors.shape(name + ".weight", rank: 2)[0]
    let hasBias = try tensors.classifierHasBias(name, isStated: isStated)
    try tensors.matrix(name, "head.\(config.head.count)", bias: hasBias)
    config.head.append(.linear(outputs: count, bias: hasBias))
    config.isClassifier = true
  }

  /// That of the network as heads have it.
  var headActivation: HeadActivation {
    switch activation {
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .quickGELU: .quickGELU
    case .silu: .silu
    case .hardSwish: .hardswish
    case .relu, .none: .relu
    }
  }
}
