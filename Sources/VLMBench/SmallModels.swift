import VLMModels
import VLMTensor

// The models of small devices, in their published sizes.

extension RandomModel {
  /// Models that embed or classify pictures.
  static let smallNames = [
    "dinov2_small", "dinov2_base", "dinov2_large", "siglip2_base_256", "mobilenetv4_conv_small",
  ]

  /// Nil for a name that is not among `smallNames`.
  static func small(named name: String) -> ModelDescription? {
    switch name {
    case "dinov2_small": dinov2(width: 384, layers: 12, heads: 6)
    case "dinov2_base": dinov2(width: 768, layers: 12, heads: 12)
    case "dinov2_large": dinov2(width: 1024, layers: 24, heads: 16)
    case "siglip2_base_256":
      ModelDescription(
        SigLIPFamily.self,
        SigLIPConfig(
          imageSize: 256, patchSize: 16,
          encoder: TransformerConfig(
            width: 768, layers: 12, heads: 12, hidden: 3072, activation: .geluTanh, epsilon: 1e-6),
          feature: .attentionPooled))
    case "mobilenetv4_conv_small":
      ModelDescription(MobileNetFamily.self, MobileNetConfig.convSmall)
    default: nil
    }
  }

  private static func dinov2(width: Int, layers: Int, heads: Int) -> ModelDescription {
    var config = PlainViTConfig(
      imageSize: 518, patchSize: 14,
      encoder: TransformerConfig(
        width: width, layers: layers, heads: heads, hidden: 4 * width, activation: .gelu,
        epsilon: 1e-6))
    config.usesLayerScale = true
    return ModelDescription(PlainViTFamily.self, config)
  }
}

extension RandomEncoder {
  /// Towers of language models, and such with their projectors.
  static let smallNames = ["fastvithd", "fastvlm-0.5b", "smolvlm-256m"]

  /// Apple's FastViTHD, timm's `fastvit_mci3`.
  static let fastViTHD: FastViTConfig = {
    let widths = [96, 192, 384, 768, 1536]
    let depths = [2, 12, 24, 4, 2]
    let stages = zip(widths, depths).enumerated().map { index, size in
      FastViTConfig.Stage(
        channels: size.0, depth: size.1, hidden: 4 * size.0,
        mixer: index > 2 ? .attention : .convolution, downsamples: index > 0,
        hasPositions: index > 2)
    }
    return FastViTConfig(
      stages: stages, norm: .layer, activatesDownsampling: true, outputs: 3072, squeeze: 192,
      feature: .map)
  }()

  /// SmolVLM's tower of the 256M and the 500M, without its connector.
  static let smolVLM = SmolVLMVisionConfig(
    imageSize: 512, patchSize: 16,
    encoder: TransformerConfig(
      width: 768, layers: 12, heads: 12, hidden: 3072, activation: .geluTanh, epsilon: 1e-6),
    shuffle: 4)
}

extension MobileNetConfig {
  /// timm's `mobilenetv4_conv_small`.
  static let convSmall: MobileNetConfig = {
    func plain(_ kernel: Int, _ stride: Int, _ outputs: Int) -> Block {
      .bottleneck(
        Bottleneck(
          [Layer(kernel: kernel, stride: stride, outputs: outputs, activation: .relu)],
          isResidual: false))
    }
    /// A universal bottleneck with depthwise kernels before and between its pointwise layers, 0 for
    /// none.
    func universal(
      _ start: Int, _ middle: Int, stride: Int, _ ratio: Int, _ inputs: Int, _ outputs: Int
    ) -> Block {
      var layers: [Layer] = []
      if start > 0 {
        layers.append(Layer(kernel: start, stride: middle > 0 ? 1 : stride, outputs: nil))
      }
      layers.append(Layer(kernel: 1, outputs: ratio * inputs, activation: .relu))
      if middle > 0 {
        layers.append(Layer(kernel: middle, stride: stride, outputs: nil, activation: .relu))
      }
      layers.append(Layer(kernel: 1, outputs: outputs))
      return .bottleneck(Bottleneck(layers, isResidual: stride == 1 && inputs == outputs))
    }
    let third = (0..<4).map { _ in universal(0, 3, stride: 1, 2, 96, 96) }
    let fourth = [(5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4)].map { size in
      universal(size.0, size.1, stride: 1, size.2, 128, 128)
    }
    return MobileNetConfig(
      stem: [plain(3, 2, 32)],
      stages: [
        [plain(3, 2, 32), plain(1, 1, 32)], [plain(3, 2, 96), plain(1, 1, 64)],
        [universal(5, 5, stride: 2, 3, 64, 96)] + third + [universal(3, 0, stride: 1, 4, 96, 96)],
        [universal(3, 3, stride: 2, 6, 96, 128)] + fourth, [plain(1, 1, 960)],
      ],
      head: [
        .linear(outputs: 1280, bias: true), .activation(.relu), .linear(outputs: 1000, bias: true),
      ], isClassifier: true)
  }()

  /// Products and additions of convolutions and linear layers for one picture, each counted.
  func operations(height: Int, width: Int) -> Double {
    var (height, width, channels, total) = (height, width, 3, 0.0)
    func add(_ layer: Layer) {
      (height, width) = ((height - 1) / layer.stride + 1, (width - 1) / layer.stride + 1)
      let taps = layer.kernel * layer.kernel
      let inputs = layer.outputs == nil ? 1 : channels
      channels = layer.outputs ?? channels
      total += Double(height * width) * Double(taps * inputs * channels)
    }
    for block in stem + stages.flatMap({ $0 }) {
      switch block {
      case .bottleneck(let block): block.layers.forEach(add)
      case .linearMixer(let mixer):
        let width = mixer.heads * mixer.dimension
        let taps = mixer.kernels.reduce(0) { $0 + $1 * $1 + mixer.dimension }
        let runs = 1 + mixer.kernels.count
        let perRow =
          channels * 3 * width + 3 * width * taps + runs * width * channels
          + 2 * runs * width * mixer.dimension
        total += Double(height * width) * Double(perRow)
      case .sharedMixer(let mixer):
        let rows = height * width
        let keys = mixer.reduction == nil ? rows : ((height + 1) / 2) * ((width + 1) / 2)
        let columns = mixer.heads * mixer.dimension
        total += Double(rows) * Double(2 * channels * columns + 2 * keys * columns)
        total += Double(keys) * Double(2 * channels * mixer.dimension)
      }
    }
    if let final { add(final) }
    for case .linear(let outputs, _) in head {
      total += Double(channels * outputs)
      channels = outputs
    }
    return 2 * total
  }
}

extension PlainViTConfig {
  func operations(patches: Int) -> Double {
    operations(patches: patches, others: prefix, inner: mlp == .plain ? 2 : 3)
  }
}

extension SmolVLMVisionConfig {
  func operations(patches: Int) -> Double { operations(patches: patches, others: 0) }
}

extension FastViTConfig {
  /// Products and additions of convolutions and attention for one square picture, each counted.
  func operations(side: Int) -> Double {
    var (side, channels, total) = ((side + 1) / 2, stages.first?.channels ?? 0, 0.0)
    total += Double(side * side) * Double(27 * channels)
    side = (side + 1) / 2
    total += Double(side * side) * Double(channels * (9 + channels))
    for stage in stages {
      if stage.downsamples {
        side = (side + 1) / 2
        total +=
          Double(side * side)
          * Double(stage.channels * (downsampleKernel * downsampleKernel + stage.channels))
      }
      channels = stage.channels
      let rows = Double(side * side)
      let mixing =
        stage.mixer == .attention
        ? Double(4 * channels * channels) + 2 * rows * Double(channels)
        : Double(mixerKernel * mixerKernel * channels)
      let perRow = mixing + Double(channels * (49 + 2 * stage.hidden))
      total +=
        rows * (Double(stage.depth) * perRow + Double(stage.hasPositions ? 49 * channels : 0))
    }
    return 2 * (total + Double(side * side * 9 * outputs) + Double(2 * outputs * squeeze))
  }
}
