// Access to values: attributes, items, slices, elements, and calls.

extension JinjaInterpreter {
  /// `value.name`: an attribute, otherwise an item.
  func attribute(
    _ name: String, _ key: JinjaString, of value: JinjaObject
  ) throws(JinjaError) -> JinjaObject {
    try refuse(undefined: value)
    try step(key.count / 4)
    if let found = try ownAttribute(name, of: value) { return found }
    if case .dictionary(let dictionary) = value, let found = dictionary[key] { return found }
    return .undefined(
      JinjaUndefined(.attribute(owner: owner(value), name: name)))
  }

  /// `value[key]`: an item, otherwise an attribute.
  func item(_ key: JinjaObject, of value: JinjaObject) throws(JinjaError) -> JinjaObject {
    try refuse(undefined: value)
    switch value {
    case .dictionary(let dictionary):
      if case .string(let name) = key {
        try step(name.count / 4)
        if let found = dictionary[name] { return found }
      } else if let hashed = try self.key(of: key), let found = dictionary[hashed] {
        return found
      }
    case .string(let text):
      if let index = key.integer.flatMap({ Self.position($0, in: text.count) }) {
        return try string([text.scalars[index]], isMarkup: text.isMarkup)
      }
    case .sequence(let sequence) where sequence.kind.hasPositions:
      if let index = key.integer.flatMap({ Self.position($0, in: sequence.elements.count) }) {
        return sequence.elements[index]
      }
    default: break
    }
    if case .string(let name) = key {
      let name = name.string
      if let found = try ownAttribute(name, of: value) { return found }
      return .undefined(JinjaUndefined(.attribute(owner: owner(value), name: name)))
    }
    return .undefined(
      JinjaUndefined(.element(owner: owner(value), shown: try shortRepresentation(key))))
  }

  private static func position(_ index: Int, in count: Int) -> Int? {
    let position = index < 0 ? index.addingReportingOverflow(count).partialValue : index
    return position >= 0 && position < count ? position : nil
  }

  private func owner(_ value: JinjaObject) -> String {
    if case .null = value { return "None" }
    return value.typeName + " object"
  }

  /// Python's `getattr`, for attributes that a template may use.
  func ownAttribute(_ name: String, of value: JinjaObject) throws(JinjaError)
    -> JinjaObject?
  {
    switch value {
    case .string:
      guard JinjaMethods.ofStrings[name] != nil else {
        guard JinjaMethods.unsupportedOfStrings.contains(name) else { return nil }
        throw error(.unsupported("the method 'str.\(name)'"))
      }
    case .dictionary:
      guard JinjaMethods.ofDictionaries[name] != nil else {
        return JinjaMethods.changingDictionaries.contains(name) ? unsafe(name, value) : nil
      }
    case .sequence(let sequence):
      if sequence.kind == .group, let position = ["grouper": 0, "list": 1][name] {
        return sequence.elements[position]
      }
      guard sequence.kind.hasPositions, JinjaMethods.ofSequences[name] != nil,
        name != "copy" || sequence.kind == .list
      else {
        return sequence.kind == .list && JinjaMethods.changingLists.contains(name)
          ? unsafe(name, value) : nil
      }
    case .namespace(let number): return member(name, ofNamespace: number)
    case .loop(let loop): return try loop.attribute(name, self)
    case .macro(let number): return name == "name" ? .text(self.name(ofMacro: number)) : nil
    case .global(.dict):
      guard name == "fromkeys" else { return nil }
    default: return nil
    }
    try check(depth: value.depth + 1)
    return .method(JinjaMethod(value, name))
  }

  private func unsafe(_ name: String, _ value: JinjaObject) -> JinjaObject {
    undefined("access to attribute '\(name)' of '\(value.typeName)' object is unsafe.")
  }

  // MARK: Slices

  func slice(
    _ value: JinjaObject, _ start: JinjaObject, _ end: JinjaObject, _ stride: JinjaObject
  ) throws(JinjaError) -> JinjaObject {
    try refuse(undefined: value)
    let count: Int
    switch value {
    case .string(let text): count = text.count
    case .sequence(let sequence) where sequence.kind.hasPositions: count = sequence.elements.count
    default:
      return .undefined(JinjaUndefined(.element(owner: owner(value), shown: "slice")))
    }
    var bounds: [Int?] = []
    for bound in [start, end, stride] {
      if case .null = bound {
        bounds.append(nil)
      } else if let integer = bound.integer {
        bounds.append(integer)
      } else {
        // Python raises a TypeError here, which jinja2 treats as a missing item.
        return .undefined(JinjaUndefined(.element(owner: owner(value), shown: "slice")))
      }
    }
    guard bounds[2] != 0 else { throw error(.value("slice step cannot be zero")) }
    let positions = Self.positions(bounds[0], bounds[1], bounds[2] ?? 1, in: count)
    switch value {
    case .string(let text):
      return try string(positions.map { text.scalars[$0] }, isMarkup: text.isMarkup)
    case .sequence(let sequence):
      let kind: JinjaSequence.Kind =
        if case .range = sequence.kind { .list } else { sequence.kind }
      return try self.sequence(
        positions.map { sequence.elements[$0] }, kind == .group ? .tuple : kind)
    default: return .null
    }
  }

  /// The indices that a slice selects of `count` elements, as in Python.
  static func positions(_ start: Int?, _ end: Int?, _ stride: Int, in count: Int) -> [Int] {
    func clamped(_ bound: Int?, _ initial: Int) -> Int {
      guard let bound else { return initial }
      let (low, high) = stride > 0 ? (0, count) : (-1, count - 1)
      if bound >= 0 { return min(bound, high) }
      return bound < -count ? low : max(bound + count, low)
    }
    let first = clamped(start, stride > 0 ? 0 : count - 1)
    let last = clamped(end, stride > 0 ? count : -1)
    // A stride beyond the length selects at most one element.
    let stride = max(-count - 1, min(count + 1, stride))
    return Array(Swift.stride(from: first, to: last, by: stride))
  }

  // MARK: Elements

  /// - Parameter expected: the start of Python's error message; nil for that of `iter`.
  func iterator(
    over value: JinjaObject, expected: String? = nil
  ) throws(JinjaError) -> JinjaIterator {
    switch value {
    case .sequence(let sequence):
      return JinjaElementIterator(sequence.elements, depth: sequence.depth)
    case .dictionary(let dictionary):
      return JinjaElementIterator(dictionary.keys, depth: dictionary.depth)
    case .string(let text): return JinjaScalarIterator(text)
    case .iterator(let iterator): return iterator
    case .undefined: return JinjaIterator(depth: 1)
    default:
      if let expected {
        throw error(.value("\(expected) '\(value.typeName)' is not iterable"))
      }
      throw error(.value("'\(value.typeName)' object is not iterable"))
    }
  }

  func elements(of value: JinjaObject, atMost limit: Int = .max) throws(JinjaError)
    -> [JinjaObject]
  {
    if case .sequence(let sequence) = value {
      try step(sequence.elements.count)
      return sequence.elements
    }
    let iterator = try iterator(over: value)
    var elements: [JinjaObject] = []
    while elements.count < limit, let element = try iterator.next(self) {
      try step()
      try charge(Self.elementBytes)
      elements.append(element)
    }
    return elements
  }

  /// Nil if Python's `len` raises an error.
  func length(ifKnown value: JinjaObject) -> Int? {
    switch value {
    case .undefined: 0
    case .string(let text): text.count
    case .sequence(let sequence): sequence.elements.count
    case .dictionary(let dictionary): dictionary.count
    default: nil
    }
  }

  // MARK: Calls

  func call(_ callee: JinjaObject, _ arguments: JinjaArguments) throws(JinjaError) -> JinjaObject {
    try enter()
    defer { leave() }
    switch callee {
    case .macro(let number): return try call(macro: number, arguments)
    case .method(let method): return try JinjaMethods.call(method, arguments, self)
    case .global(let global): return try call(global, arguments)
    case .loop(let loop): return try call(loop, arguments)
    default:
      try refuse(undefined: callee)
      throw error(.value("'\(callee.typeName)' object is not callable"))
    }
  }

  private func call(_ loop: JinjaLoop, _ arguments: JinjaArguments) throws(JinjaError)
    -> JinjaObject
  {
    guard let recursion = loop.recursion else {
      throw error(
        .value("The loop must have the 'recursive' marker to be called recursively."))
    }
    let value = try arguments.placed("loop", 1...1, self)[0] ?? .null
    let body = JinjaRecursion(
      statement: recursion.statement, value: value, level: loop.level + 1)
    return try captured(recursively: body, in: recursion.scope)
  }
}

/// A recursive loop.
struct JinjaRecursion {
  let statement: JinjaForStatement
  let value: JinjaObject
  let level: Int
}
