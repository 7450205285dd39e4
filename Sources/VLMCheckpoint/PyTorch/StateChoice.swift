import VLMFoundation

/// Selects the part of a checkpoint that is the model.
package enum StateSelection: Sendable, Equatable {
  /// All tensors of the file, under their full names.
  case everything
  /// The state dict that training tools would load.
  case automatic
  /// The value at this path of keys joined by dots.
  case named(String)
}

/// Finds the model's state dict among optimizers, schedulers and averaged copies.
struct StateChoice {
  let value: PickleValue
  /// Path of keys to the state dict.
  let path: [String]
  /// The alternatives at each step.
  let alternatives: [String]
  /// Prefix that selects tensors in `value`; it is removed from their names.
  var prefix = ""

  /// Keys that hold weights, in order of preference. Averaged weights come first, as in timm.
  static let wrappers = [
    "state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema",
    "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
  ]

  static func automatic(_ tree: PickleTree) -> StateChoice {
    var (value, path, alternatives) = (tree.root, [String](), [String]())
    // A pickle may refer to one dictionary any number of times, so visits are bounded.
    let counts = tree.dictionaries.map { $0.values.count(where: tree.isTensor) }
    func count(_ value: PickleValue) -> Int {
      if case .dict(let index) = value { counts[Int(index)] } else { 0 }
    }
    // Such keys may be nested: {"model_ema": {"module": …}}.
    for _ in 0..<4 {
      guard let dictionary = tree.dictionary(value) else { break }
      var budget = 1 << 20
      let holders = wrappers.filter { key in
        guard let candidate = tree.value(dictionary, key) else { return false }
        return tree.hasTensors(candidate, depth: 4, budget: &budget)
      }
      guard let key = holders.first, let next = tree.value(dictionary, key) else {
        guard let only = onlyState(tree, dictionary, count) else { break }
        (value, path) = (only.value, path + [only.key])
        continue
      }
      let others = others(tree, dictionary, count, atLeast: count(next))
      alternatives += (holders + others).map { (path + [$0]).joined(separator: ".") }
      (value, path) = (next, path + [key])
    }
    return StateChoice(value: value, path: path, alternatives: alternatives)
  }

  /// Keys of other models in the checkpoint, such as a teacher or a generator. A value with fewer
  /// than half of the tensors is an auxiliary part of the training.
  private static func others(
    _ tree: PickleTree, _ dictionary: PickleDictionary, _ tensorCount: (PickleValue) -> Int,
    atLeast count: Int
  ) -> [String] {
    zip(dictionary.keys, dictionary.values).compactMap { key, value in
      guard let key = tree.string(key), !wrappers.contains(key) else { return nil }
      let found = tensorCount(value)
      return found > 0 && found * 2 >= count ? key : nil
    }
  }

  /// The only dictionary with tensors in a dictionary that has no tensors itself, if no key
  /// identifies the model.
  private static func onlyState(
    _ tree: PickleTree, _ dictionary: PickleDictionary, _ tensorCount: (PickleValue) -> Int
  ) -> (key: String, value: PickleValue)? {
    var result: (key: String, value: PickleValue)?
    for (key, value) in zip(dictionary.keys, dictionary.values) {
      if case .tensor = value { return nil }
      guard tensorCount(value) > 0 else { continue }
      guard result == nil, let text = tree.string(key) else { return nil }
      result = (text, value)
    }
    return result
  }

  /// The value at `name`, whose keys may contain dots. Its last part may be a prefix of keys:
  /// "state_dict.net" selects from {"state_dict": {"net.w": …, "loss.w": …}}.
  static func named(_ name: String, _ tree: PickleTree) -> StateChoice? {
    var (value, rest, path) = (tree.root, Substring(name), [String]())
    while !rest.isEmpty {
      guard let dictionary = tree.dictionary(value) else { return nil }
      let keys = dictionary.keys.map(tree.keyText).filter { key in
        rest.hasPrefix(key) && (rest.count == key.count || rest.dropFirst(key.count).first == ".")
          && !key.isEmpty
      }
      guard let key = keys.max(by: { $0.count < $1.count }),
        let position = dictionary.keys.lastIndex(where: {
          tree.keyText($0).hasSameBytes(as: key)
        })
      else {
        let prefix = rest + "."
        guard dictionary.keys.contains(where: { tree.keyText($0).hasPrefix(prefix) }) else {
          return nil
        }
        return StateChoice(
          value: value, path: path + [String(rest)], alternatives: [], prefix: String(prefix))
      }
      value = dictionary.values[position]
      path.append(key)
      rest = rest.dropFirst(key.count).dropFirst()
    }
    return StateChoice(value: value, path: path, alternatives: [])
  }

  /// The names that a state can be chosen by.
  static func choices(_ tree: PickleTree) -> [String] {
    guard let root = tree.dictionary(tree.root) else { return [] }
    var budget = 1 << 20
    return zip(root.keys, root.values).compactMap { key, value in
      guard tree.dictionary(value) != nil, tree.hasTensors(value, depth: 4, budget: &budget) else {
        return nil
      }
      return tree.keyText(key)
    }
  }
}

extension PickleTree {
  func isTensor(_ value: PickleValue) -> Bool {
    switch value {
    case .tensor, .unsupportedTensor: true
    default: false
    }
  }

  /// Whether a dictionary contains tensors, directly or in nested dictionaries or modules.
  func hasTensors(_ value: PickleValue, depth: Int, budget: inout Int) -> Bool {
    if case .object(let index) = value, let state = dictionary(objects[Int(index)].state) {
      budget -= state.keys.count
      guard budget > 0 else { return false }
    }
    if moduleClass(value) != nil { return true }
    guard depth > 0, let dictionary = dictionary(value) else { return false }
    budget -= dictionary.values.count + 1
    guard budget > 0 else { return false }
    if dictionary.values.contains(where: isTensor) { return true }
    for inner in dictionary.values
    where hasTensors(inner, depth: depth - 1, budget: &budget) { return true }
    return false
  }
}
