import VLMTensor

/// A checkpoint's tensors by timm's names, and what of ours is made from them.
struct FastViTTensors {
  /// By timm's name.
  private let stored: [String: CheckpointFacts.Name]
  /// By our name.
  private(set) var found: [String: ModelCheckpoint.Source] = [:]
  /// timm's names of what was read.
  private var used: Set<String> = []

  /// - Parameter names: timm's name of each, and what the checkpoint has under it.
  /// - Throws: `ModelError` where two tensors have one name.
  init(_ names: [(timm: String, stored: CheckpointFacts.Name)]) throws(ModelError) {
    var stored: [String: CheckpointFacts.Name] = [:]
    for (timm, name) in names {
      if let other = stored.updateValue(name, forKey: timm) {
        throw ModelError(
          .configuration(
            field: "tensor '\(timm)'", found: "'\(other.name)' and '\(name.name)'",
            expected: "one of them"))
      }
    }
    self.stored = stored
  }

  /// What the checkpoint has and nothing asked for.
  var unread: [CheckpointFacts.Name] {
    stored.filter { !used.contains($0.key) }.map(\.value).sorted { $0.name < $1.name }
  }

  func has(_ name: String) -> Bool { stored[name] != nil }

  /// Whether a module has tensors.
  func hasModule(_ name: String) -> Bool { stored.keys.contains { $0.hasPrefix(name + ".") } }

  /// How many modules are numbered under `name`.
  ///
  /// - Throws: `ModelError` for more than `limit`.
  func count(_ name: String, limit: Int) throws(ModelError) -> Int {
    var count = 0
    for key in stored.keys {
      guard let rest = key.dropping(name + "."), let number = rest.split(separator: ".").first,
        let index = Int(number), index >= 0, String(index) == number
      else { continue }
      guard index < limit else {
        throw ModelError(
          .configuration(field: name, found: "\(number)", expected: "at most \(limit)"))
      }
      count = max(count, index + 1)
    }
    return count
  }

  func shape(_ name: String, rank: Int) throws(ModelError) -> [Int] {
    guard let tensor = stored[name] else { throw ModelError(.missingTensor(name)) }
    guard tensor.shape.count == rank else {
      throw ModelError(
        .shape(tensor.name, found: tensor.shape, expected: Array(repeating: -1, count: rank)))
    }
    return tensor.shape
  }

  // MARK: - Tensors as they are stored

  /// - Parameter flattened: whether extents of 1 at the end say nothing.
  mutating func take(_ name: String, _ ours: String, flattened: Bool = false) throws(ModelError) {
    guard let tensor = stored[name] else { throw ModelError(.missingTensor(name)) }
    var shape = tensor.shape
    if flattened {
      let rank = ours.hasSuffix(".gamma") ? 1 : 2
      while shape.count > rank, shape.last == 1 { shape.removeLast() }
    }
    found[ours] = ModelCheckpoint.Source(original: tensor.name, shape: shape)
    used.insert(name)
  }

  /// A pointwise convolution, which is a matrix, with its bias.
  mutating func matrix(_ name: String, _ ours: String, bias: Bool = true) throws(ModelError) {
    try take(name + ".weight", ours + ".weight", flattened: true)
    if bias { try take(name + ".bias", ours + ".bias") }
  }

  // MARK: - Folds

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
    let scale = has(gamma) ? try vector(gamma, kernel[0]) : nil
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

  /// A batch norm as a scale and a shift.
  mutating func scaleAndShift(_ name: String, _ ours: String) throws(ModelError) {
    let channels = try shape(name + ".running_mean", rank: 1)[0]
    let branch = TensorFold.Branch(norm: try norm(name, channels))
    set(TensorFold(.kernel, of: [branch]), [channels], ours + ".scale")
    set(TensorFold(.bias, of: [branch]), [channels], ours + ".shift")
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

  /// The checkpoint's name of a kernel that lies in the middle of one of the shape `outer`.
  private mutating func kernel(
    _ name: String, within outer: [Int]
  ) throws(ModelError) -> String {
    let shape = try shape(name, rank: 4)
    guard shape[0] == outer[0], shape[1] == outer[1], shape[2] == shape[3], outer[2] == outer[3],
      shape[2] % 2 == 1, outer[2] % 2 == 1, shape[2] <= outer[2]
    else {
      throw ModelError(.shape(original(name), found: shape, expected: outer))
    }
    used.insert(name)
    return original(name)
  }

  private mutating func norm(_ name: String, _ count: Int) throws(ModelError) -> TensorFold.Norm {
    TensorFold.Norm(
      weight: try vector(name + ".weight", count), bias: try vector(name + ".bias", count),
      mean: try vector(name + ".running_mean", count),
      variance: try vector(name + ".running_var", count), epsilon: FastViTConfig.epsilon)
  }

  /// The checkpoint's name of `count` values.
  private mutating func vector(_ name: String, _ count: Int) throws(ModelError) -> String {
    guard let tensor = stored[name] else { throw ModelError(.missingTensor(name)) }
    guard tensor.shape.first == count, tensor.shape.dropFirst().allSatisfy({ $0 == 1 }) else {
      throw ModelError(.shape(tensor.name, found: tensor.shape, expected: [count]))
    }
    used.insert(name)
    return tensor.name
  }

  private mutating func fold(
    _ branches: [TensorFold.Branch], _ kernel: [Int], _ ours: String
  ) throws(ModelError) {
    set(TensorFold(.kernel, of: branches), kernel, ours + ".weight")
    set(TensorFold(.bias, of: branches), [kernel[0]], ours + ".bias")
  }

  private mutating func set(_ fold: TensorFold, _ shape: [Int], _ ours: String) {
    found[ours] = ModelCheckpoint.Source(
      original: fold.names.first ?? ours, shape: shape, fold: fold)
  }

  private func original(_ name: String) -> String { stored[name]?.name ?? name }
}
