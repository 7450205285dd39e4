import VLMFoundation
import VLMTensor

// EfficientViT's blocks in timm's names.

extension MobileNetLayers {
  /// - Throws: `ModelError` naming a tensor that is missing or has another shape.
  mutating func efficientViT() throws(ModelError) -> MobileNetConfig {
    let first = try layer("stem.in_conv.conv", norm: "stem.in_conv.norm", "stem.0.0", stride: 2)
    var stem: [Block] = [.bottleneck(MobileNetConfig.Bottleneck([first], isResidual: false))]
    while tensors.hasModule("stem.res\(stem.count - 1)"),
      stem.count <= MobileNetConfig.maximumBlocks
    {
      stem.append(
        try bottleneck("stem.res\(stem.count - 1).main", "stem.\(stem.count)", isFirst: false))
    }
    widths.append(channels)
    var stages: [[Block]] = []
    for stage in 0..<(try tensors.count("stages", limit: MobileNetConfig.maximumStages)) {
      let name = "stages.\(stage).blocks"
      var blocks: [Block] = []
      for index in 0..<(try tensors.count(name, limit: MobileNetConfig.maximumBlocks)) {
        let (place, ours) = ("\(name).\(index)", "stages.\(stage).\(blocks.count)")
        guard tensors.hasModule(place + ".context_module") else {
          blocks.append(try bottleneck(place + ".main", ours, isFirst: index == 0))
          continue
        }
        blocks.append(.linearMixer(try mixer(place + ".context_module.main", ours)))
        blocks.append(
          try bottleneck(
            place + ".local_module.main", "stages.\(stage).\(blocks.count)", isFirst: false))
      }
      stages.append(blocks)
      widths.append(channels)
    }
    var config = MobileNetConfig(stem: stem, stages: stages)
    if tensors.hasModule("head.in_conv") {
      config.final = try layer("head.in_conv.conv", norm: "head.in_conv.norm", "final")
    }
    if tensors.has("head.classifier.0.weight") {
      let outputs = try tensors.shape("head.classifier.0.weight", rank: 2)[0]
      try tensors.matrix("head.classifier.0", "head.0", bias: false)
      try tensors.matrix("head.classifier.1", "head.1")
      config.head = [
        .linear(outputs: outputs, bias: false), .layerNorm(epsilon: epsilon),
        .activation(headActivation),
      ]
    }
    try classifier("head.classifier.4", &config)
    return config
  }

  /// Convolutions in the order in which any of timm's blocks has them.
  ///
  /// - Parameter isFirst: of its stage, where the map is halved and nothing is added.
  private mutating func bottleneck(
    _ name: String, _ ours: String, isFirst: Bool
  ) throws(ModelError) -> Block {
    let inputs = channels
    let parts = ["inverted_conv", "spatial_conv", "conv1", "depth_conv", "point_conv", "conv2"]
      .filter { tensors.hasModule("\(name).\($0)") }
    let strided = ["depth_conv", "spatial_conv", "conv1"].first { parts.contains($0) }
    guard let last = parts.last, let strided else {
      throw ModelError(.missingTensor(name + ".depth_conv.conv.weight"))
    }
    var layers: [Layer] = []
    for (index, part) in parts.enumerated() {
      let place = "\(name).\(part)"
      layers.append(
        try layer(
          place + ".conv", norm: tensors.hasModule(place + ".norm") ? place + ".norm" : nil,
          "\(ours).\(index)", isDepthwise: part == "depth_conv",
          stride: isFirst && part == strided ? 2 : 1,
          activation: part == last ? Activation.none : activation))
    }
    guard isFirst || inputs == channels else {
      throw ModelError(
        .configuration(
          field: name, found: "\(channels) channels",
          expected: "the \(inputs) before, to which they are added"))
    }
    return .bottleneck(MobileNetConfig.Bottleneck(layers, isResidual: !isFirst))
  }

  private mutating func mixer(
    _ name: String, _ ours: String
  ) throws(ModelError) -> MobileNetConfig.LinearMixer {
    let joint = try tensors.shape(name + ".qkv.conv.weight", rank: 4)
    let width = joint[0] / 3
    let scales = try tensors.count(name + ".aggreg", limit: 8)
    guard scales > 0 else { throw ModelError(.missingTensor(name + ".aggreg.0.1.weight")) }
    // Groups are as wide as a head.
    let dimension = try tensors.shape(name + ".aggreg.0.1.weight", rank: 4)[1]
    guard joint == [3 * width, channels, 1, 1], dimension > 0, width % dimension == 0 else {
      throw ModelError(
        .shape(name + ".qkv.conv.weight", found: joint, expected: [-1, channels, 1, 1]))
    }
    try tensors.matrix(name + ".qkv.conv", ours + ".qkv", bias: false)
    var kernels: [Int] = []
    for scale in 0..<scales {
      let (place, own) = ("\(name).aggreg.\(scale)", "\(ours).aggregates.\(scale)")
      let kernel = try tensors.shape(place + ".0.weight", rank: 4)
      for (tensor, found, expected) in [
        (place + ".0.weight", kernel, [3 * width, 1, kernel[3], kernel[3]]),
        (
          place + ".1.weight", try tensors.shape(place + ".1.weight", rank: 4),
          [3 * width, dimension, 1, 1]
        ),
      ] where found != expected {
        throw ModelError(.shape(tensor, found: found, expected: expected))
      }
      try tensors.take(place + ".0.weight", own + ".around.weight")
      try tensors.take(
        place + ".1.weight", own + ".mix.weight", as: [3 * width, 1, 1, dimension])
      kernels.append(kernel[3])
    }
    let outputs = try tensors.folded(
      name + ".proj.conv", norm: name + ".proj.norm", ours + ".out",
      [channels, width * (1 + scales), 1, 1], isMatrix: true)
    self.dimension = dimension
    channels = outputs
    return MobileNetConfig.LinearMixer(
      heads: width / dimension, dimension: dimension, kernels: kernels)
  }
}
