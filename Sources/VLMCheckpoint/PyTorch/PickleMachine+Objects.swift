extension PickleMachine {
  /// Heap memory of an array or a string of this size.
  static func allocation(_ bytes: Int) -> Int { bytes == 0 ? 0 : (bytes + 32 + 15) & ~15 + 16 }

  static func allocation(_ values: [PickleValue]) -> Int {
    allocation(values.count * MemoryLayout<PickleValue>.stride)
  }

  /// Swift stores strings of up to 15 bytes inline.
  static func allocation(_ string: String) -> Int {
    string.utf8.count > 15 ? allocation(string.utf8.count) : 0
  }

  mutating func pushString(_ string: String) {
    itemBytes += Self.allocation(string)
    push(.string(Int32(tree.strings.count)))
    tree.strings.append(string)
  }

  mutating func pushTuple(_ items: [PickleValue]) {
    itemBytes += Self.allocation(items)
    push(.tuple(Int32(tree.sequences.count)))
    tree.sequences.append(items)
  }

  mutating func pushList(_ items: [PickleValue]) {
    itemBytes += Self.allocation(items)
    push(.list(Int32(tree.sequences.count)))
    tree.sequences.append(items)
  }

  mutating func pushDictionary(hasAttributes: Bool = false) {
    push(dictionary(hasAttributes: hasAttributes))
  }

  mutating func dictionary(hasAttributes: Bool) -> PickleValue {
    tree.dictionaries.append(PickleDictionary(hasAttributes: hasAttributes))
    return .dict(Int32(tree.dictionaries.count - 1))
  }

  mutating func pushObject(type: PickleValue) { push(object(type: type)) }

  mutating func object(type: PickleValue) -> PickleValue {
    tree.objects.append(PickleObject(type: type))
    return .object(Int32(tree.objects.count - 1))
  }

  mutating func pushGlobal(module: String, name: String) throws(PickleFault) {
    let global = PickleGlobal(module: module, name: name)
    if let refusal = PickleGlobals.refusal(global) { throw fault(refusal) }
    itemBytes += Self.allocation(module) + Self.allocation(name)
    push(.global(Int32(tree.globals.count)))
    tree.globals.append(global)
  }

  // MARK: Filling containers

  /// Appends to the list on top of the stack; items of an unknown list class are dropped.
  mutating func append(_ items: [PickleValue]) throws(PickleFault) {
    let target = try pop()
    push(target)
    switch target {
    case .list(let index):
      itemBytes += 2 * Self.allocation(items)
      tree.sequences[Int(index)] += items
    case .object: break
    default: throw fault("items are appended to \(target.kind), expected a list")
    }
  }

  /// Adds to the set on top of the stack; its items are dropped.
  mutating func addItems(_ items: [PickleValue]) throws(PickleFault) {
    let target = try pop()
    push(target)
    guard case .object = target else {
      throw fault("items are added to \(target.kind), expected a set")
    }
  }

  /// Sets alternating keys and values in the dictionary on top of the stack; items of an unknown
  /// dictionary class are dropped.
  mutating func setItems(_ items: [PickleValue]) throws(PickleFault) {
    guard items.count % 2 == 0 else { throw fault("a key has no value") }
    let target = try pop()
    push(target)
    switch target {
    case .dict(let index):
      itemBytes += 3 * Self.allocation(items)
      for position in stride(from: 0, to: items.count, by: 2) {
        switch items[position] {
        case .list, .dict: throw fault("\(items[position].kind) is a key, which cannot be")
        default: break
        }
        tree.dictionaries[Int(index)].keys.append(items[position])
        tree.dictionaries[Int(index)].values.append(items[position + 1])
      }
    case .object: break
    default: throw fault("items are set in \(target.kind), expected a dictionary")
    }
  }

  /// Sets the state of the object on top of the stack. Attributes of an `OrderedDict` are ignored.
  mutating func build(_ state: PickleValue) throws(PickleFault) {
    let target = try pop()
    push(target)
    switch target {
    case .object(let index): tree.objects[Int(index)].state = state
    case .dict(let index) where tree.dictionaries[Int(index)].hasAttributes: break
    case .module, .unsupportedTensor: break
    default: throw fault("\(target.kind) is given a state, which it cannot have")
    }
  }

  /// Creates an instance of a class without calling anything.
  mutating func instance(
    _ type: PickleValue, _ arguments: PickleValue
  ) throws(PickleFault) -> PickleValue {
    // The class of a module that was saved with its source code.
    if case .module = type { return type }
    // A class that an inert call returned.
    if case .object = type { return object(type: type) }
    guard let global = tree.global(type) else {
      throw fault("\(type.kind) is instantiated, expected a class")
    }
    guard tree.tuple(arguments) != nil else {
      throw fault("the arguments of '\(shown(global))' are \(arguments.kind), expected a tuple")
    }
    return global.text == "collections.OrderedDict"
      ? dictionary(hasAttributes: true) : object(type: type)
  }

  // MARK: References to storages

  /// Resolves a persistent identifier: a storage, or a module with its source code.
  mutating func persistent(_ identifier: PickleValue) throws(PickleFault) -> PickleValue {
    guard let items = tree.tuple(identifier) else {
      throw fault("a persistent identifier is \(identifier.kind), expected a tuple")
    }
    let tag = items.first.flatMap { tree.string($0) }
    if tag == "module" {
      let name = items.count > 1 ? tree.global(items[1])?.text : nil
      tree.strings.append(name ?? "an unknown class")
      return .module(Int32(tree.strings.count - 1))
    }
    guard tag == "storage", (5...6).contains(items.count), let global = tree.global(items[1]),
      let key = tree.string(items[2]), tree.string(items[3]) != nil || items[3] == .none,
      case .int(let count) = items[4], count >= 0
    else {
      throw fault("a persistent identifier is not ('storage', type, key, location, count)")
    }
    guard (1...20).contains(key.utf8.count),
      key.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else {
      throw fault("the storage key '\(key.escapedForDisplay(limit: 80))', expected a number")
    }
    var storage = PickledStorage(
      type: try storageType(global), key: key, count: count, viewCount: count)
    if items.count == 6, items[5] != .none {
      guard let view = tree.tuple(items[5]), view.count == 3, case .int(let start) = view[1],
        case .int(let length) = view[2], start >= 0, length >= 0, start <= count,
        length <= count - start
      else { throw fault("a view of the storage '\(key)' is malformed or outside it") }
      storage.viewStart = start
      storage.viewCount = length
      if let name = tree.string(view[0]) { try place(view: name, of: storage) }
    }
    roots.insert(key)
    guard views[key] == nil else { throw fault("the storage '\(key)' is a view of another") }
    tree.storages.append(storage)
    return .storage(Int32(tree.storages.count - 1))
  }

  /// Records where the view `name` lies: at one place of one storage that is not itself a view.
  private mutating func place(view name: String, of storage: PickledStorage) throws(PickleFault) {
    guard name != storage.key, !roots.contains(name) else {
      throw fault("the storage '\(shown(name))' is a view of another")
    }
    if let other = views.updateValue(storage, forKey: name), other != storage {
      throw fault("the view '\(shown(name))' lies in two places")
    }
  }

  private func shown(_ name: String) -> String { name.escapedForDisplay(limit: 80) }

  /// Nil for a storage of bytes.
  private func storageType(_ global: PickleGlobal) throws(PickleFault) -> TorchType? {
    switch global.module {
    case "torch", "torch.cuda":
      if let type = TorchType.ofStorage(global.name) { return type }
      if global.name == "UntypedStorage" { return nil }
    case "torch.storage":
      if global.name == "UntypedStorage" || global.name == "_UntypedStorage" { return nil }
    default: break
    }
    throw fault("the storage type '\(shown(global))' is not known")
  }

  func shown(_ global: PickleGlobal) -> String { global.text.escapedForDisplay(limit: 120) }
}
