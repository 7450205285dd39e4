import VLMFoundation

/// A module of PyTorch's that a checkpoint has beside its trunk, as far as its tensors tell.
struct HeadModule: Sendable {
  enum Kind: Sendable, Equatable {
    case linear(inputs: Int, outputs: Int, bias: Bool)
    case layerNorm(Int)
    case batchNorm(Int, affine: Bool)
    case other
  }

  let path: [Substring]
  let kind: Kind
  /// By the last part of our name.
  let sources: [String: ModelCheckpoint.Source]
  /// Its tensors' names in the checkpoint, and their shapes.
  let names: [String]
  let shapes: [[Int]]

  /// Names of state that training and loading store and no result depends on.
  private static let bookkeeping: Set<Substring> = [
    "num_batches_tracked", "position_ids", "attn_mask", "relative_position_index", "confmat",
    // What OpenAI's archives say of a CLIP, and what decoders of old keep of masks and rotations.
    "input_resolution", "context_length", "vocab_size", "masked_bias", "cos_cached", "sin_cached",
  ]
  /// The last words of single values that count what training did.
  private static let counters: Set<Substring> = [
    "step", "steps", "epoch", "epochs", "iter", "iters", "iteration", "iterations", "updates",
    "averaged", "initted",
  ]
  /// Vectors by which losses weigh classes.
  private static let lossWeights: Set<Substring> = ["class_weight", "class_weights", "pos_weight"]
  /// Losses have weights that look like a classifier's and are applied in another way.
  private static let losses = ["loss", "criterion", "metric", "arcface", "cosface", "margin"]

  /// Whether the last part of a name is that of state which no result depends on.
  static func isBookkeeping(_ leaf: Substring) -> Bool { bookkeeping.contains(leaf) }

  /// Whether no result depends on a tensor.
  static func isInert(_ name: CheckpointFacts.Name) -> Bool {
    var path = name.name.split(separator: ".", omittingEmptySubsequences: false)
    guard let leaf = path.popLast() else { return false }
    if bookkeeping.contains(leaf) { return true }
    if name.shape.allSatisfy({ $0 == 1 }), let word = leaf.split(separator: "_").last,
      counters.contains(word)
    {
      return true
    }
    return name.shape.count <= 1 && (lossWeights.contains(leaf) || isLoss(path))
  }

  private static func isLoss(_ path: [Substring]) -> Bool {
    path.contains { part in losses.contains { part.lowercased().contains($0) } }
  }

  /// Whether a module's name says that it is a GroupNorm, whose tensors look like a LayerNorm's.
  private static func isGroupNorm(_ path: [Substring]) -> Bool {
    guard let name = path.last?.lowercased() else { return false }
    let isShort = name.hasPrefix("gn") && name.dropFirst(2).allSatisfy { $0 == "_" || $0.isNumber }
    return isShort || name.hasSuffix("_gn") || name.contains("groupnorm")
      || name.contains("group_norm")
  }

  /// `names` grouped, in their order, without those that no result depends on.
  static func modules(of names: [CheckpointFacts.Name]) -> [HeadModule] {
    typealias Part = (leaf: String, name: CheckpointFacts.Name)
    var order: [[Substring]] = []
    var parts: [[Substring]: [Part]] = [:]
    for name in names where !isInert(name) {
      var path = name.name.split(separator: ".", omittingEmptySubsequences: false)
      guard let leaf = path.popLast() else { continue }
      if parts[path] == nil { order.append(path) }
      parts[path, default: []].append((String(leaf), name))
    }
    return order.map { path in
      let own = parts[path] ?? []
      let (kind, sources) = known(own, isStrange: isLoss(path) || isGroupNorm(path))
      return HeadModule(
        path: path, kind: kind, sources: sources, names: own.map(\.name.name),
        shapes: own.map(\.name.shape))
    }
  }

  private static func known(
    _ parts: [(leaf: String, name: CheckpointFacts.Name)], isStrange: Bool
  ) -> (Kind, [String: ModelCheckpoint.Source]) {
    var shapes: [String: [Int]] = [:]
    var sources: [String: ModelCheckpoint.Source] = [:]
    for (leaf, name) in parts {
      // 1×1 convolutions of a pooled map are matrices.
      let isPoint = name.shape.count == 4 && name.shape[2...] == [1, 1]
      let shape = isPoint ? Array(name.shape[..<2]) : name.shape
      shapes[leaf] = shape
      let ours = ["running_mean": "mean", "running_var": "variance"][leaf] ?? leaf
      sources[ours] = ModelCheckpoint.Source(original: name.name, shape: shape)
    }
    let other = (Kind.other, [String: ModelCheckpoint.Source]())
    let leaves = Set(shapes.keys)
    let (weight, bias) = (shapes["weight"], shapes["bias"])
    if let mean = shapes["running_mean"], mean.count == 1, shapes["running_var"] == mean {
      guard leaves.subtracting(["weight", "bias", "running_mean", "running_var"]).isEmpty,
        weight == bias, weight == nil || weight == mean
      else { return other }
      return (.batchNorm(mean[0], affine: weight != nil), sources)
    }
    guard let weight, !isStrange, leaves.subtracting(["weight", "bias"]).isEmpty else {
      return other
    }
    if weight.count == 2, bias == nil || bias == [weight[0]] {
      return (.linear(inputs: weight[1], outputs: weight[0], bias: bias != nil), sources)
    }
    return weight.count == 1 && bias == weight ? (.layerNorm(weight[0]), sources) : other
  }

  var isLinear: Bool { if case .linear = kind { true } else { false } }
  var isOther: Bool { kind == .other }

  /// Whether it is a CLIP's logit scale or bias, on which no embedding depends.
  var isTemperature: Bool {
    names.allSatisfy { name in
      ["logit_scale", "logit_bias"].contains(name.split(separator: ".").last)
    }
  }

  /// Its place in a `Sequential`; nil where it has a name.
  var position: Int? { path.last.flatMap { Int($0) } }

  /// Values that enter a linear layer.
  var inputs: Int? { if case .linear(let inputs, _, _) = kind { inputs } else { nil } }

  /// Values that leave it when `width` enter; nil when it takes others.
  func outputs(of width: Int) -> Int? {
    switch kind {
    case .linear(let inputs, let outputs, _): inputs == width ? outputs : nil
    case .layerNorm(let count), .batchNorm(let count, _): count == width ? width : nil
    case .other: nil
    }
  }

  /// The part of its path that names the head: the first that it does not share with `prefix`.
  func root(besides prefix: [Substring]) -> Substring {
    let shared = zip(path, prefix).prefix { $0 == $1 }.count
    return shared < path.count ? path[shared] : ""
  }
}
