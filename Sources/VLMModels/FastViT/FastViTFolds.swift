import VLMTensor

/// What of a FastViT is trained in branches, each with a batch norm.
extension ConvolutionTensors {
  /// A convolution: one that is fused already, or branches with norms.
  ///
  /// - Returns: the kernel's shape.
  /// - Throws: `ModelError` naming a tensor that is missing or has another shape than the others.
  mutating func convolution(_ name: String, _ ours: String) throws(ModelError) -> [Int] {
    if has(name + ".reparam_conv.weight") {
      try take(name + ".reparam_conv.weight", ours + ".weight")
      try take(name + ".reparam_conv.bias", ours + ".bias")
      return try shape(name + ".reparam_conv.weight", rank: 4)
    }
    let isLarge = has(name + ".large_conv.conv.weight")
    let first = name + (isLarge ? ".large_conv" : ".conv_kxk.0") + ".conv.weight"
    let kernel = try shape(first, rank: 4)
    try fold(try branches(name, kernel), kernel, ours)
    return kernel
  }

  /// RepMixer: `x + γ (mixer x - norm x)` where it is as trained.
  mutating func mixer(_ name: String, _ ours: String) throws(ModelError) -> [Int] {
    guard has(name + ".mixer.conv_kxk.0.conv.weight") else {
      return try convolution(name, ours)
    }
    let kernel = try shape(name + ".mixer.conv_kxk.0.conv.weight", rank: 4)
    let gamma = name + ".layer_scale.gamma"
    let scale = hasScale(gamma) ? try vector(gamma, kernel[0]) : nil
    var all = [TensorFold.Branch()]
    for var branch in try branches(name + ".mixer", kernel) {
      branch.scale = scale
      all.append(branch)
    }
    let norm = try norm(name + ".norm.identity", kernel[0])
    all.append(TensorFold.Branch(norm: norm, scale: scale, isSubtracted: true))
    try fold(all, kernel, ours)
    return kernel
  }

  /// A convolution that tells positions: `x + pos_enc x` where it is as trained.
  mutating func positions(_ name: String, _ ours: String) throws(ModelError) {
    guard has(name + ".pos_enc.weight") else {
      _ = try convolution(name, ours)
      return
    }
    let kernel = try shape(name + ".pos_enc.weight", rank: 4)
    let branch = TensorFold.Branch(
      kernel: try self.kernel(name + ".pos_enc.weight", within: kernel),
      bias: try vector(name + ".pos_enc.bias", kernel[0]))
    try fold([TensorFold.Branch(), branch], kernel, ours)
  }

  /// A convolution without a bias, and the batch norm behind it.
  mutating func normed(_ name: String, _ ours: String) throws(ModelError) {
    let kernel = try shape(name + ".conv.weight", rank: 4)
    try fold([try branch(name, kernel)], kernel, ours)
  }

  private mutating func branches(
    _ name: String, _ kernel: [Int]
  ) throws(ModelError) -> [TensorFold.Branch] {
    var result: [TensorFold.Branch] = []
    for part in ["large_conv", "small_conv", "conv_scale"] where hasModule("\(name).\(part)") {
      result.append(try branch("\(name).\(part)", kernel))
    }
    for index in 0..<(try count(name + ".conv_kxk", limit: 64)) {
      result.append(try branch("\(name).conv_kxk.\(index)", kernel))
    }
    if hasModule(name + ".identity") {
      result.append(TensorFold.Branch(norm: try norm(name + ".identity", kernel[0])))
    }
    return result
  }

  /// timm's `ConvNormAct`.
  private mutating func branch(
    _ name: String, _ kernel: [Int]
  ) throws(ModelError) -> TensorFold.Branch {
    TensorFold.Branch(
      kernel: try self.kernel(name + ".conv.weight", within: kernel),
      norm: try norm(name + ".bn", kernel[0]))
  }
}
