import VLMTensor

extension PickleMachine {
  /// The value that a call describes, by the function's name; an inert object for unknown
  /// functions.
  mutating func call(
    _ function: PickleValue, _ operand: PickleValue
  ) throws(PickleFault) -> PickleValue {
    guard let arguments = tree.tuple(operand) else {
      throw fault("arguments are \(operand.kind), expected a tuple")
    }
    if case .module = function { return function }
    // If another function called these, they would access attributes that are not checked here.
    for argument in arguments.prefix(4) {
      guard let global = tree.global(argument), Self.readsAttributes(global) else { continue }
      throw fault(.forbiddenGlobal(global.text))
    }
    guard let global = tree.global(function) else {
      if case .object = function { return object(type: function) }
      throw fault("\(function.kind) is called, expected a function")
    }
    switch global.module {
    case "torch._utils", "torch._tensor":
      if let value = try rebuild(global, arguments) { return value }
    case "collections":
      if let value = try collection(global, arguments) { return value }
    case "torch.jit._pickle":
      // TorchScript lists. Their element types follow from the values.
      guard let first = arguments.first else { throw wrongArguments(global) }
      return first
    case "torch":
      if global.name == "Size" {
        guard arguments.count == 1, tree.extents(arguments[0]) != nil else {
          throw wrongArguments(global)
        }
        return arguments[0]
      }
    case "torch.nn.parameter", "torch.nn":
      if global.name == "Parameter" || global.name == "Buffer" {
        guard let first = arguments.first, isTensor(first) else { throw wrongArguments(global) }
        return first
      }
    case "__builtin__", "builtins":
      if arguments.isEmpty, global.name == "dict" { return dictionary(hasAttributes: true) }
      if arguments.isEmpty, global.name == "list" {
        tree.sequences.append([])
        return .list(Int32(tree.sequences.count - 1))
      }
      if global.name == "getattr" { return try attribute(global, arguments) }
    case "operator", "_operator":
      if global.name == "attrgetter" { try checkAttributes(global, arguments) }
    case "_codecs":
      guard arguments.count == 2, tree.string(arguments[0]) != nil,
        let encoding = tree.string(arguments[1]), encoding == "latin1" || encoding == "utf-8"
      else { throw wrongArguments(global) }
      return .bytes
    case "copyreg", "copy_reg":
      guard let type = arguments.first, tree.global(type) != nil else {
        throw wrongArguments(global)
      }
      return object(type: type)
    default: break
    }
    return object(type: function)
  }

  /// `getattr(Class, "name")`, which protocols before 4 write for enumeration members, methods and
  /// nested classes. It is treated as the dotted name that protocol 4 writes, under the same rules.
  private mutating func attribute(
    _ global: PickleGlobal, _ arguments: [PickleValue]
  ) throws(PickleFault) -> PickleValue {
    guard (2...3).contains(arguments.count), let name = tree.string(arguments[1]) else {
      throw wrongArguments(global)
    }
    guard let owner = tree.global(arguments[0]) else {
      // For an object, the attribute of its class, if the class is known.
      var owner = Self.anyMember
      if case .object(let index) = arguments[0],
        let type = tree.global(tree.objects[Int(index)].type)
      {
        owner = type
      }
      let member = PickleGlobal(module: owner.module, name: owner.name + "." + name)
      if let refusal = PickleGlobals.refusal(member) { throw fault(refusal) }
      return object(type: arguments[0])
    }
    let member = PickleGlobal(module: owner.module, name: owner.name + "." + name)
    if let refusal = PickleGlobals.refusal(member) { throw fault(refusal) }
    copiesLeft -= member.name.utf8.count
    guard copiesLeft >= 0 else { throw fault(.tooManyNodes(limit: bytes.count)) }
    itemBytes += Self.allocation(member.module) + Self.allocation(member.name)
    tree.globals.append(member)
    return .global(Int32(tree.globals.count - 1))
  }

  /// Checks the attributes that `operator.attrgetter` would read from an object not yet known.
  private mutating func checkAttributes(
    _ global: PickleGlobal, _ arguments: [PickleValue]
  ) throws(PickleFault) {
    for argument in arguments {
      guard let name = tree.string(argument) else { throw wrongArguments(global) }
      copiesLeft -= name.utf8.count + 1
      guard copiesLeft >= 0 else { throw fault(.tooManyNodes(limit: bytes.count)) }
      let member = PickleGlobal(
        module: Self.anyMember.module, name: Self.anyMember.name + "." + name)
      if let refusal = PickleGlobals.refusal(member) { throw fault(refusal) }
    }
  }

  /// Placeholder for an unknown object.
  private static var anyMember: PickleGlobal { PickleGlobal(module: "object", name: "member") }

  private static func readsAttributes(_ global: PickleGlobal) -> Bool {
    switch global.module {
    case "builtins", "__builtin__": global.name == "getattr"
    case "operator", "_operator": global.name == "attrgetter"
    default: false
    }
  }

  private func isTensor(_ value: PickleValue) -> Bool {
    switch value {
    case .tensor, .unsupportedTensor: true
    default: false
    }
  }

  private func wrongArguments(_ global: PickleGlobal) -> PickleFault {
    fault("the arguments of '\(shown(global))' are not those it takes")
  }

  private mutating func collection(
    _ global: PickleGlobal, _ arguments: [PickleValue]
  ) throws(PickleFault) -> PickleValue? {
    switch global.name {
    case "defaultdict": return dictionary(hasAttributes: true)
    case "OrderedDict":
      let result = dictionary(hasAttributes: true)
      guard let first = arguments.first else { return result }
      // Python 2 passes the items as a list of pairs.
      guard arguments.count == 1, let pairs = tree.list(first), case .dict(let index) = result
      else {
        throw wrongArguments(global)
      }
      copiesLeft -= pairs.count
      guard copiesLeft >= 0 else { throw fault(.tooManyNodes(limit: bytes.count)) }
      itemBytes += 6 * Self.allocation(pairs)
      for pair in pairs {
        guard let items = tree.list(pair) ?? tree.tuple(pair), items.count == 2 else {
          throw wrongArguments(global)
        }
        tree.dictionaries[Int(index)].keys.append(items[0])
        tree.dictionaries[Int(index)].values.append(items[1])
      }
      return result
    default: return nil
    }
  }

  // MARK: Tensors

  private mutating func rebuild(
    _ global: PickleGlobal, _ arguments: [PickleValue]
  ) throws(PickleFault) -> PickleValue? {
    switch global.name {
    case "_rebuild_tensor":
      guard arguments.count == 4 else { throw wrongArguments(global) }
      return try tensor(global, arguments)
    case "_rebuild_tensor_v2":
      guard (6...7).contains(arguments.count), case .bool = arguments[4] else {
        throw wrongArguments(global)
      }
      if let value = try flagged(arguments.dropFirst(6)) { return value }
      return try tensor(global, arguments)
    case "_rebuild_tensor_v3":
      guard (7...8).contains(arguments.count), let name = tree.global(arguments[6]),
        name.module == "torch"
      else { throw wrongArguments(global) }
      guard let type = TorchType.named(name.name) else {
        return unsupported("tensor of type \(name.text)")
      }
      if let value = try flagged(arguments.dropFirst(7)) { return value }
      return try tensor(global, arguments, type: type)
    case "_rebuild_qtensor":
      guard arguments.count == 7, let parameters = tree.tuple(arguments[4]),
        let scheme = parameters.first, tree.global(scheme)?.module == "torch"
      else { throw wrongArguments(global) }
      return try tensor(global, arguments)
    case "_rebuild_parameter", "_rebuild_parameter_with_state":
      guard (3...4).contains(arguments.count), isTensor(arguments[0]) else {
        throw wrongArguments(global)
      }
      return arguments[0]
    case "_rebuild_from_type_v2" where global.module == "torch._tensor":
      // (function, class, its arguments, state): a tensor with attributes, or of a subclass.
      guard arguments.count == 4, let inner = tree.global(arguments[0]),
        inner.module == "torch._utils", let operands = tree.tuple(arguments[2])
      else { throw wrongArguments(global) }
      return try rebuild(inner, operands)
    case "_rebuild_sparse_tensor": return unsupported("sparse tensor")
    case "_rebuild_sparse_csr_tensor": return unsupported("sparse CSR tensor")
    case "_rebuild_nested_tensor": return unsupported("nested tensor")
    case "_rebuild_meta_tensor_no_storage": return unsupported("meta tensor without data")
    case "_rebuild_wrapper_subclass": return unsupported("tensor subclass")
    case "_rebuild_xla_tensor", "_rebuild_device_tensor_from_numpy",
      "_rebuild_device_tensor_from_cpu_tensor":
      return unsupported("tensor of an unsupported device")
    default: return nil
    }
  }

  /// A view that PyTorch negates or conjugates lazily, by a flag in its metadata; nil without such
  /// a flag. The stored values differ from the tensor's.
  private mutating func flagged(_ metadata: ArraySlice<PickleValue>) throws(PickleFault)
    -> PickleValue?
  {
    guard let last = metadata.first, last != .none else { return nil }
    guard let flags = tree.dictionary(last) else {
      throw fault("the metadata of a tensor are \(last.kind), expected a dictionary")
    }
    for (key, value) in zip(flags.keys, flags.values) where value != .bool(false) {
      guard let name = tree.string(key), ["neg", "conj"].contains(name) else { continue }
      return unsupported("tensor with the flag '\(name)' (resolve_\(name)() undoes it)")
    }
    return nil
  }

  private mutating func unsupported(_ kind: String) -> PickleValue {
    tree.strings.append(kind)
    return .unsupportedTensor(Int32(tree.strings.count - 1))
  }

  /// (storage, offset, shape, strides, …), checked against the storage's declaration.
  private mutating func tensor(
    _ global: PickleGlobal, _ arguments: [PickleValue], type given: TorchType? = nil
  ) throws(PickleFault) -> PickleValue {
    guard case .storage(let index) = arguments[0], case .int(let offset) = arguments[1],
      let shape = tree.extents(arguments[2]), let strides = tree.extents(arguments[3])
    else { throw wrongArguments(global) }
    guard offset >= 0, shape.count == strides.count, shape.count <= SafetensorsFile.maximumRank
    else {
      throw fault(
        "a tensor has \(shape.count) extents, \(strides.count) strides and the offset \(offset), "
          + "expected as many of each, at most \(SafetensorsFile.maximumRank), and no offset "
          + "below 0")
    }
    let storage = tree.storages[Int(index)]
    guard let type = given ?? storage.type, storage.type == nil || storage.type == type else {
      throw fault("a tensor's type is missing, or not that of its storage")
    }
    guard type.byteCount(shape) != nil else {
      throw fault("the shape \(shape) is too large to count its bytes")
    }
    // Capacity of the storage in elements of this type.
    let room = storage.type == nil ? storage.viewCount / type.width : storage.viewCount
    guard let end = Self.end(offset: offset, shape, strides), end <= room else {
      throw fault(
        "a tensor of shape \(shape), strides \(strides) and offset \(offset) leaves its storage "
          + "of \(room) elements")
    }
    itemBytes += 2 * Self.allocation(8 * shape.count)
    tree.tensors.append(
      PickledTensor(storage: index, type: type, offset: offset, shape: shape, strides: strides))
    return .tensor(Int32(tree.tensors.count - 1))
  }

  /// One past the offset of the last element; nil on overflow.
  private static func end(offset: Int, _ shape: [Int], _ strides: [Int]) -> Int? {
    if shape.contains(0) { return offset }
    var last = offset
    for (extent, stride) in zip(shape, strides) {
      let (span, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (sum, carry) = last.addingReportingOverflow(span)
      if overflow || carry { return nil }
      last = sum
    }
    return last == .max ? nil : last + 1
  }
}

extension TorchType {
  /// Bytes of a dense tensor of `shape`; nil if eight times that overflows, of an empty one but for
  /// its zeros.
  func byteCount(_ shape: [Int]) -> Int? {
    var count = width
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: max(1, extent))
      if overflow { return nil }
      count = product
    }
    if count.multipliedReportingOverflow(by: 8).overflow { return nil }
    return shape.contains(0) ? 0 : count
  }
}
