import VLMFoundation
import VLMTensor

/// A checkpoint's tensors of convolutions by timm's names, and what of ours is made from them: batch
/// norms are folded into the convolutions before them.
struct ConvolutionTensors {
  /// By timm's name.
  private let stored: [String: CheckpointFacts.Name]
  /// By our name.
  private(set) var found: [String: ModelCheckpoint.Source] = [:]
  /// timm's names of what was read.
  private var used: Set<String> = []
  /// Of every batch norm.
  var epsilon: Float = 1e-5
  /// What a person should know, one line each.
  private(set) var notes: [Note] = []
  /// Whether branches have a scale, all of them or none; nil before one is read.
  private var branchesHaveScale: Bool?

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

  /// Whether a branch has a scale: as the first one that was read. So one that is missing is missed, and
  /// one that the others do not have is left over.
  mutating func hasScale(_ name: String) -> Bool {
    let result = branchesHaveScale ?? has(name)
    branchesHaveScale = result
    return result
  }

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

  /// A tensor whose elements the model takes for a tensor of another shape.
  ///
  /// - Precondition: of as many elements.
  mutating func take(_ name: String, _ ours: String, as shape: [Int]) throws(ModelError) {
    guard let tensor = stored[name] else { throw ModelError(.missingTensor(name)) }
    found[ours] = ModelCheckpoint.Source(original: tensor.name, shape: shape)
    used.insert(name)
  }

  /// A pointwise convolution, which is a matrix, with its bias.
  mutating func matrix(_ name: String, _ ours: String, bias: Bool = true) throws(ModelError) {
    try take(name + ".weight", ours + ".weight", flattened: true)
    if bias { try take(name + ".bias", ours + ".bias") }
  }

  /// Whether a classifier has a bias, as all of timm's have.
  ///
  /// - Parameter isStated: whether a description says which model it is. A file without one may have
  ///   another classifier in that place.
  /// - Throws: `ModelError` where a model of timm's lacks it.
  mutating func classifierHasBias(
    _ name: String, isStated: Bool
  ) throws(ModelError) -> Bool {
    if has(name + ".bias") { return true }
    let weight = original(name + ".weight")
    guard !isStated else { throw ModelError(.missingTensor(name + ".bias", beside: weight)) }
    notes.append("the classifier '\(weight)' has no bias, unlike those of timm")
    return false
  }

  // MARK: - Folds

  /// A convolution with its own bias, where it has one, and the batch norm behind it, where there is
  /// one.
  ///
  /// - Parameters:
  ///   - expected: the kernel's shape; -1 for any number of outputs.
  ///   - isMatrix: whether it is pointwise and runs as a matrix.
  /// - Returns: the outputs.
  /// - Throws: `ModelError` naming a tensor that is missing or has another shape.
  mutating func folded(
    _ name: String, norm: String?, _ ours: String, _ expected: [Int], isMatrix: Bool = false
  ) throws(ModelError) -> Int {
    let shape = try shape(name + ".weight", rank: 4)
    guard zip(shape, expected).allSatisfy({ $1 < 0 || $0 == $1 }) else {
      throw ModelError(.shape(original(name + ".weight"), found: shape, expected: expected))
    }
    let hasBias = norm == nil || has(name + ".bias")
    let branch = TensorFold.Branch(
      kernel: try kernel(name + ".weight", within: shape),
      bias: hasBias ? try vector(name + ".bias", shape[0]) : nil,
      norm: try norm.map { norm throws(ModelError) in try self.norm(norm, shape[0]) })
    try fold([branch], isMatrix ? Array(shape[..<2]) : shape, ours)
    return shape[0]
  }

  /// A batch norm as a scale and a shift.
  mutating func scaleAndShift(_ name: String, _ ours: String) throws(ModelError) {
    let channels = try shape(name + ".running_mean", rank: 1)[0]
    let branch = TensorFold.Branch(norm: try norm(name, channels))
    set(TensorFold(.kernel, of: [branch]), [channels], ours + ".scale")
    set(TensorFold(.bias, of: [branch]), [channels], ours + ".shift")
  }

  /// The checkpoint's name of a kernel that lies in the middle of one of the shape `outer`.
  mutating func kernel(
    _ name: String, within outer: [Int]
  ) throws(ModelError) -> String {
    let shape = try shape(name, rank: 4)
    let isCentred = (2...3).allSatisfy { axis in
      shape[axis] % 2 == 1 && outer[axis] % 2 == 1 && shape[axis] <= outer[axis]
    }
    // A text's are lines; any other is a square.
    let isLine = outer[2] == 1 && shape[2] == 1
    guard shape[0] == outer[0], shape[1] == outer[1], isCentred,
      isLine || shape[2] == shape[3] && outer[2] == outer[3]
    else {
      throw ModelError(.shape(original(name), found: shape, expected: outer))
    }
    used.insert(name)
    return original(name)
  }

  /// A batch norm of `count` channels.
  mutating func norm(_ name: String, _ count: Int) throws(ModelError) -> TensorFold.Norm {
    TensorFold.Norm(
      weight: try vector(name + ".weight", count), bias: try vector(name + ".bias", count),
      mean: try vector(name + ".running_mean", count),
      variance: try vector(name + ".running_var", count), epsilon: epsilon)
  }

  /// The checkpoint's name of `count` values.
  mutating func vector(_ name: String, _ count: Int) throws(ModelError) -> String {
    guard let tensor = stored[name] else { throw ModelError(.missingTensor(name)) }
    guard tensor.shape.first == count, tensor.shape.dropFirst().allSatisfy({ $0 == 1 }) else {
      throw ModelError(.shape(tensor.name, found: tensor.shape, expected: [count]))
    }
    used.insert(name)
    return tensor.name
  }

  /// A kernel and a bias that follow from `branches`.
  mutating func fold(
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
