import VLMTensor

/// Collects the tensors below a value of a pickle and names each by its path: keys joined by dots,
/// list indices in brackets.
struct StateWalk {
  static let maximumDepth = 64
  /// Maximum number of values visited. A pickle may refer to the same container any number of
  /// times.
  static let maximumVisits = 4 << 20

  struct Found {
    let name: String
    let tensor: Int32
  }

  private let tree: PickleTree
  private let path: String
  /// Memory limit for the tensors with their names, in bytes.
  private let maximumMemory: Int
  /// Names of a TorchScript class's parameters and buffers; nil if all its tensors count.
  private let attributes: (PickleGlobal) -> Set<String>?
  private var frames: [Frame] = []
  private var open = Set<Int>()
  private(set) var found: [Found] = []
  private var visits = 0
  /// Memory of the tensors found so far, in bytes.
  private(set) var memory = 0
  /// Memory of a tensor in a catalog, without its name.
  private static let bytesPerTensor = 512

  private struct Frame {
    let identity: Int
    let count: Int
    /// The key that leads here from the parent frame.
    let label: Label
    let content: Content
    var next = 0
  }

  private enum Label {
    case root
    case key(PickleValue)
    case place(Int)
  }

  private enum Content {
    case sequence(Int)
    case dictionary(Int)
    /// The attributes of a TorchScript object that are parameters or buffers.
    case attributes(Int, Set<String>?)
  }

  /// - Parameter memory: memory limit for the tensors with their names, in bytes. A pickle may
  ///   refer to a tensor any number of times.
  init(
    _ tree: PickleTree, path: String, memory: Int,
    attributes: @escaping (PickleGlobal) -> Set<String>?
  ) {
    self.tree = tree
    maximumMemory = memory
    self.path = path
    self.attributes = attributes
  }

  /// The tensors below `root`, in the pickle's order.
  mutating func run(_ root: PickleValue) throws(CheckpointError) -> [Found] {
    try visit(root, .root, isAttribute: true)
    while let frame = frames.last {
      guard frame.next < frame.count else {
        open.remove(frame.identity)
        frames.removeLast()
        continue
      }
      frames[frames.count - 1].next += 1
      let position = frame.next
      switch frame.content {
      case .sequence(let index):
        try visit(tree.sequences[index][position], .place(position), isAttribute: true)
      case .dictionary(let index):
        let dictionary = tree.dictionaries[index]
        try visit(dictionary.values[position], .key(dictionary.keys[position]), isAttribute: true)
      case .attributes(let index, let names):
        let dictionary = tree.dictionaries[index]
        let key = dictionary.keys[position]
        let isTensor = names.map { $0.contains(tree.string(key) ?? "") } ?? true
        try visit(dictionary.values[position], .key(key), isAttribute: isTensor)
      }
    }
    return found
  }

  private mutating func visit(
    _ value: PickleValue, _ label: Label, isAttribute: Bool
  ) throws(CheckpointError) {
    visits += 1
    guard visits <= Self.maximumVisits else {
      throw failure(.tooManyNodes(limit: Self.maximumVisits))
    }
    switch value {
    case .tensor(let index):
      guard isAttribute else { return }
      let name = try name(label)
      memory += name.utf8.count + Self.bytesPerTensor
      guard memory <= maximumMemory else {
        throw CheckpointError(
          path: path, place: name, problem: .pyTorch(.tensorsTooLarge(limit: maximumMemory)))
      }
      found.append(Found(name: name, tensor: index))
    case .unsupportedTensor(let kind):
      throw CheckpointError(
        path: path, place: try name(label),
        problem: .pyTorch(.unsupportedTensor(tree.strings[Int(kind)])))
    case .module(let name): throw failure(.wholeModule(tree.strings[Int(name)]))
    case .tuple(let index), .list(let index):
      let count = tree.sequences[Int(index)].count
      try enter(3 * Int(index), count, label, .sequence(Int(index)))
    case .dict(let index):
      let count = tree.dictionaries[Int(index)].keys.count
      try enter(3 * Int(index) + 1, count, label, .dictionary(Int(index)))
    case .object(let index): try visitObject(Int(index), label)
    default: break
    }
  }

  private mutating func visitObject(_ index: Int, _ label: Label) throws(CheckpointError) {
    let object = tree.objects[index]
    guard case .dict(let state) = object.state else { return }
    // All keys of this frame have been visited.
    visits += tree.dictionaries[Int(state)].keys.count
    guard let type = tree.global(object.type), type.isTorchScript else {
      if let name = tree.moduleClass(.object(Int32(index))) { throw failure(.wholeModule(name)) }
      return
    }
    let count = tree.dictionaries[Int(state)].keys.count
    try enter(3 * index + 2, count, label, .attributes(Int(state), attributes(type)))
  }

  /// A container that is already being walked is skipped: the pickle has a cycle.
  private mutating func enter(
    _ identity: Int, _ count: Int, _ label: Label, _ content: Content
  ) throws(CheckpointError) {
    guard count > 0, open.insert(identity).inserted else { return }
    guard frames.count < Self.maximumDepth else {
      throw failure(.tooDeep(limit: Self.maximumDepth))
    }
    frames.append(Frame(identity: identity, count: count, label: label, content: content))
  }

  private func failure(_ problem: PyTorchProblem) -> CheckpointError {
    CheckpointError(path: path, problem: .pyTorch(problem))
  }

  // MARK: Names

  private func name(_ last: Label) throws(CheckpointError) -> String {
    var name = ""
    for label in frames.map(\.label) + [last] {
      switch label {
      case .root: break
      case .place(let index): name += "[\(index)]"
      case .key(let key):
        name += (name.isEmpty ? "" : ".") + tree.keyText(key)
      }
      let limit = SafetensorsFile.maximumNameBytes
      if name.utf8.count > limit {
        throw CheckpointError(
          path: path, place: String(name.prefix(80)),
          problem: .nameTooLong(bytes: name.utf8.count, limit: limit))
      }
    }
    if name.isEmpty { throw CheckpointError(path: path, problem: .emptyName) }
    if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
      throw CheckpointError(path: path, place: name, problem: .controlCharacterInName)
    }
    return name
  }
}

extension PickleGlobal {
  /// Whether TorchScript compiled the class.
  var isTorchScript: Bool { module == "__torch__" || module.hasPrefix("__torch__.") }
}

extension PickleTree {
  /// A key as part of a tensor's name.
  func keyText(_ key: PickleValue) -> String {
    switch key {
    case .string(let index): strings[Int(index)]
    case .int(let number): String(number)
    default: "(\(key.kind))"
    }
  }

  /// The class of a pickled module; nil if the value is not a module.
  func moduleClass(_ value: PickleValue) -> String? {
    if case .module(let name) = value { return strings[Int(name)] }
    guard case .object(let index) = value, let state = dictionary(objects[Int(index)].state),
      self.value(state, "_parameters") != nil || self.value(state, "_modules") != nil
    else { return nil }
    return className(value)
  }
}
