/// Comparison operators.
enum JinjaRelation: String, Sendable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  case isIn = "in"
  case notIn = "not in"
}

extension JinjaInterpreter {
  func holds(
    _ relation: JinjaRelation, _ left: JinjaObject, _ right: JinjaObject
  ) throws(JinjaError) -> Bool {
    switch relation {
    case .equal: return try equal(left, right)
    case .notEqual: return try !equal(left, right)
    case .less: return try precedes(left, right, "<")
    case .greater: return try precedes(right, left, ">", isSwapped: true)
    case .lessOrEqual:
      if try precedes(left, right, "<=") { return true }
      return try equal(left, right)
    case .greaterOrEqual:
      if try precedes(right, left, ">=", isSwapped: true) { return true }
      return try equal(left, right)
    case .isIn: return try contains(right, left)
    case .notIn: return try !contains(right, left)
    }
  }

  /// Python's `==`; recurses to the depth of the values.
  func equal(_ a: JinjaObject, _ b: JinjaObject) throws(JinjaError) -> Bool {
    switch (a, b) {
    case (.string(let a), .string(let b)):
      if a.count == b.count { try step(a.count / 16) }
      return a == b
    case (.undefined, .undefined), (.null, .null): return true
    case (.sequence(let a), .sequence(let b)):
      guard a.kind == b.kind || a.kind.isTuple && b.kind.isTuple,
        a.elements.count == b.elements.count
      else { return false }
      for (a, b) in zip(a.elements, b.elements) {
        try step()
        guard try equal(a, b) else { return false }
      }
      return true
    case (.dictionary(let a), .dictionary(let b)):
      guard a.count == b.count else { return false }
      for (key, value) in zip(a.keys, a.values) {
        try step()
        guard let key = try self.key(of: key), let other = b[key], try equal(value, other) else {
          return false
        }
      }
      return true
    case (.namespace(let a), .namespace(let b)), (.macro(let a), .macro(let b)): return a == b
    case (.loop(let a), .loop(let b)): return a === b
    case (.iterator(let a), .iterator(let b)): return a === b
    case (.method(let a), .method(let b)): return a === b
    case (.global(let a), .global(let b)): return a == b
    default:
      if let a = a.integer, let b = b.integer { return a == b }
      if let a = a.number, let b = b.number { return a == b }
      return false
    }
  }

  /// Python's `<` and its relatives by `sign`; recurses to the depth of the values.
  func precedes(
    _ a: JinjaObject, _ b: JinjaObject, _ sign: String = "<", isSwapped: Bool = false
  ) throws(JinjaError) -> Bool {
    try step()
    switch (a, b) {
    case (.string(let a), .string(let b)):
      try step(min(a.count, b.count) / 16)
      return JinjaString.precedes(a, b)
    case (.sequence(let x), .sequence(let y))
    where x.kind == y.kind && x.kind == .list || x.kind.isTuple && y.kind.isTuple:
      for (x, y) in zip(x.elements, y.elements) where try !equal(x, y) {
        return try precedes(x, y, sign, isSwapped: isSwapped)
      }
      return x.elements.count < y.elements.count
    default:
      if let a = a.integer, let b = b.integer { return a < b }
      if let a = a.number, let b = b.number { return a < b }
      try refuse(undefined: a)
      try refuse(undefined: b)
      let (left, right) = isSwapped ? (b, a) : (a, b)
      throw error(
        .value(
          "'\(sign)' not supported between instances of '\(left.typeName)' and"
            + " '\(right.typeName)'"))
    }
  }

  /// Python's `element in container`.
  func contains(_ container: JinjaObject, _ element: JinjaObject) throws(JinjaError) -> Bool {
    switch container {
    case .string(let text):
      guard case .string(let part) = element else {
        throw error(
          .value("'in <string>' requires string as left operand, not \(element.typeName)"))
      }
      try step((text.count + part.count) / 8)
      return text.firstIndex(of: part, in: 0..<text.count) != nil
    case .dictionary(let dictionary):
      guard let key = try self.key(of: element) else {
        throw error(.value("unhashable type: '\(element.typeName)'"))
      }
      return dictionary[key] != nil
    case .undefined: return false
    default:
      let iterator = try iterator(over: container, expected: "argument of type")
      while let candidate = try iterator.next(self) {
        try step()
        if try equal(candidate, element) { return true }
      }
      return false
    }
  }

  /// Whether an element is identical by Python's `is`, as far as a template can observe it.
  func same(_ a: JinjaObject, _ b: JinjaObject) throws(JinjaError) -> Bool {
    switch (a, b) {
    case (.bool(let a), .bool(let b)): return a == b
    case (.int(let a), .int(let b)): return a == b
    case (.bool, _), (_, .bool): return false
    case (.sequence(let a), .sequence(let b)): return a === b
    case (.dictionary(let a), .dictionary(let b)): return a === b
    case (.string, .string), (.null, .null), (.namespace, .namespace), (.macro, .macro),
      (.loop, .loop), (.iterator, .iterator), (.global, .global):
      return try equal(a, b)
    default: return false
    }
  }
}
