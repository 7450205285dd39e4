import VLMFoundation
import VLMTensor

// MobileNetV4's blocks in timm's names.

extension MobileNetLayers {
  /// - Throws: `ModelError` naming a tensor that is missing or has another shape.
  mutating func mobileNetV4() throws(ModelError) -> MobileNetConfig {
    let first = try layer("conv_stem", norm: "bn1", "stem.0.0", stride: 2)
    widths.append(channels)
    var stages: [[Block]] = []
    for stage in 0..<(try tensors.count("blocks", limit: MobileNetConfig.maximumStages)) {
      let name = "blocks.\(stage)"
      var blocks: [Block] = []
      for index in 0..<(try tensors.count(name, limit: MobileNetConfig.maximumBlocks)) {
        blocks.append(
          try block("\(name).\(index)", "stages.\(stage).\(index)", isFirst: index == 0))
      }
      stages.append(blocks)
      widths.append(channels)
    }
    var config = MobileNetConfig(
      stem: [.bottleneck(MobileNetConfig.Bottleneck([first], isResidual: false))], stages: stages)
    if tensors.has("conv_head.weight") {
      let outputs = try tensors.folded(
        "conv_head", norm: "norm_head", "head.0", [-1, channels, 1, 1], isMatrix: true)
      config.head = [.linear(outputs: outputs, bias: true), .activation(headActivation)]
    }
    try classifier("classifier", &config)
    return config
  }

  /// - Parameter isFirst: of its stage, where the map is halved by whatever looks around.
  private mutating func block(
    _ name: String, _ ours: String, isFirst: Bool
  ) throws(ModelError) -> Block {
    let inputs = channels
    var layers: [Layer] = []
    var hasScale = false
    if tensors.has(name + ".conv.weight") {
      let kernel = try tensors.shape(name + ".conv.weight", rank: 4)[3]
      try append(
        layer(
          name + ".conv", norm: name + ".bn1", ours + ".0", stride: isFirst && kernel > 1 ? 2 : 1),
        to: &layers)
      // timm's plain convolutions have no residual.
      return .bottleneck(MobileNetConfig.Bottleneck(layers, isResidual: false))
    }
    if tensors.has(name + ".conv_exp.weight") {
      try append(
        layer(name + ".conv_exp", norm: name + ".bn1", ours + ".0", stride: isFirst ? 2 : 1),
        to: &layers)
      try append(
        layer(
          name + ".conv_pwl", norm: name + ".bn2", "\(ours).\(layers.count)",
          activation: Activation.none), to: &layers)
    } else if tensors.has(name + ".pw_exp.conv.weight") {
      let parts = ["dw_start", "pw_exp", "dw_mid", "pw_proj", "dw_end"].filter {
        tensors.hasModule("\(name).\($0)")
      }
      let strided = ["dw_mid", "dw_start", "dw_end"].first { parts.contains($0) }
      for part in parts {
        try append(
          layer(
            "\(name).\(part).conv", norm: "\(name).\(part).bn", "\(ours).\(layers.count)",
            isDepthwise: part.hasPrefix("dw_"), stride: isFirst && part == strided ? 2 : 1,
            activation: ["pw_exp", "dw_mid"].contains(part) ? activation : Activation.none),
          to: &layers)
      }
      hasScale = try gamma(name, ours)
    } else if tensors.has(name + ".attn.query.proj.weight") {
      return .sharedMixer(try attention(name, ours))
    } else {
      throw ModelError(
        .configuration(
          field: name, found: "a block of another kind",
          expected: "one of MobileNetV4: a convolution, a bottleneck or attention with shared keys")
      )
    }
    let stride = layers.reduce(1) { $0 * $1.stride }
    return .bottleneck(
      MobileNetConfig.Bottleneck(
        layers, isResidual: stride == 1 && inputs == channels, hasScale: hasScale))
  }

  /// Adds a layer; of one with a stride what smooths behind it, where the network is smoothed.
  private func append(_ layer: Layer, to layers: inout [Layer]) {
    guard let smoothing, layer.stride > 1 else { return layers.append(layer) }
    var whole = layer
    whole.stride = 1
    layers += [whole, Layer(smoothing)]
  }

  private mutating func gamma(_ name: String, _ ours: String) throws(ModelError) -> Bool {
    guard tensors.hasScale(name + ".layer_scale.gamma") else { return false }
    try tensors.take(name + ".layer_scale.gamma", ours + ".gamma", flattened: true)
    return true
  }

  private mutating func attention(
    _ name: String, _ ours: String
  ) throws(ModelError) -> MobileNetConfig.SharedMixer {
    try tensors.scaleAndShift(name + ".norm", ours + ".norm")
    let query = try tensors.shape(name + ".attn.query.proj.weight", rank: 4)[0]
    let dimension = try tensors.shape(name + ".attn.key.proj.weight", rank: 4)[0]
    guard dimension > 0, query % dimension == 0 else {
      throw ModelError(
        .configuration(
          field: "tensor '\(name).attn.query.proj.weight'", found: "\(query) rows",
          expected: "a multiple of the \(dimension) of the keys"))
    }
    for (theirs, own, shape) in [
      ("query", "query", [query, channels]), ("key", "key", [dimension, channels]),
      ("value", "value", [dimension, channels]), ("output", "out", [channels, query]),
    ] {
      let tensor = "\(name).attn.\(theirs).proj"
      let found = try tensors.shape(tensor + ".weight", rank: 4)
      guard found == shape + [1, 1] else {
        throw ModelError(.shape(tensor + ".weight", found: found, expected: shape + [1, 1]))
      }
      try tensors.matrix(tensor, "\(ours).\(own)", bias: false)
    }
    var reduction: Int?
    if tensors.has(name + ".attn.key.down_conv.weight") {
      for part in ["key", "value"] {
        let place = "\(name).attn.\(part)"
        let kernel = try tensors.shape(place + ".down_conv.weight", rank: 4)[3]
        _ = try tensors.folded(
          place + ".down_conv", norm: place + ".norm", "\(ours).\(part)_reduction",
          [channels, 1, reduction ?? kernel, reduction ?? kernel])
        reduction = kernel
      }
    }
    return MobileNetConfig.SharedMixer(
      heads: query / dimension, dimension: dimension, reduction: reduction,
      hasScale: try gamma(name, ours))
  }
}
