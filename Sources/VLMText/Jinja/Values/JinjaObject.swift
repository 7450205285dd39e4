/// A run-time value. Shared values are immutable, except namespaces and loops; those are referenced
/// by number or limited by depth, so that no value can contain itself.
enum JinjaObject {
  case undefined(JinjaUndefined)
  case null
  case bool(Bool)
  case int(Int)
  case float(Double)
  case string(JinjaString)
  case sequence(JinjaSequence)
  case dictionary(JinjaDictionary)
  /// A generator, which can be iterated once.
  case iterator(JinjaIterator)
  /// The index in the interpreter.
  case namespace(Int)
  /// The index in the interpreter.
  case macro(Int)
  case loop(JinjaLoop)
  case global(JinjaGlobal)
  case method(JinjaMethod)

  static func text(_ text: String) -> JinjaObject { .string(JinjaString(text)) }

  /// The type's name in Python's messages.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .null: "NoneType"
    case .bool: "bool"
    case .int: "int"
    case .float: "float"
    case .string(let text): text.isMarkup ? "Markup" : "str"
    case .sequence(let sequence): sequence.kind.typeName
    case .dictionary: "dict"
    case .iterator: "generator"
    case .namespace: "namespace"
    case .macro: "Macro"
    case .loop: "LoopContext"
    case .global: "function"
    case .method: "builtin_function_or_method"
    }
  }

  /// Nesting depth of the value.
  var depth: Int {
    switch self {
    case .sequence(let sequence): sequence.depth
    case .dictionary(let dictionary): dictionary.depth
    case .iterator(let iterator): iterator.depth
    case .loop(let loop): loop.valueDepth
    case .method(let method): method.depth
    default: 0
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }

  /// The integer value of a boolean or integer; Python's booleans are integers.
  var integer: Int? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .int(let value): value
    default: nil
    }
  }

  var number: Double? {
    if case .float(let value) = self { return value }
    return integer.map(Double.init)
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .null: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .float(let value): value != 0
    case .string(let text): !text.isEmpty
    case .sequence(let sequence): !sequence.elements.isEmpty
    case .dictionary(let dictionary): dictionary.count > 0
    case .iterator, .namespace, .macro, .loop, .global, .method: true
    }
  }
}

/// A constant of a template.
enum JinjaLiteral: Sendable {
  case null
  case bool(Bool)
  case int(Int)
  case float(Double)
  case string(JinjaString)

  var object: JinjaObject {
    switch self {
    case .null: .null
    case .bool(let value): .bool(value)
    case .int(let value): .int(value)
    case .float(let value): .float(value)
    case .string(let value): .string(value)
    }
  }
}

/// Why a value is undefined; reported when it is used.
final class JinjaUndefined {
  enum Reason {
    case name(String)
    /// jinja2's name of `owner`.
    case attribute(owner: String, name: String)
    case element(owner: String, shown: String)
    case hint(String)
  }

  let reason: Reason

  init(_ reason: Reason) { self.reason = reason }

  var message: String {
    switch reason {
    case .name(let name): "'\(name)' is undefined"
    case .attribute(let owner, let name): "'\(owner)' has no attribute '\(name)'"
    case .element(let owner, let shown): "\(owner) has no element \(shown)"
    case .hint(let hint): hint
    }
  }
}

/// An immutable sequence.
final class JinjaSequence {
  enum Kind: Equatable {
    case list, tuple, keys, values, items
    case range(start: Int, end: Int, step: Int)
    /// Whether it is the named tuple of `groupby`.
    case group

    var isTuple: Bool { self == .tuple || self == .group }

    var typeName: String {
      switch self {
      case .list: "list"
      case .tuple: "tuple"
      case .keys: "dict_keys"
      case .values: "dict_values"
      case .items: "dict_items"
      case .range: "range"
      case .group: "_GroupTuple"
      }
    }

    /// Whether Python supports indexing it.
    var hasPositions: Bool { self != .keys && self != .values && self != .items }
  }

  let kind: Kind
  let elements: [JinjaObject]
  let depth: Int

  /// - Parameter depth: one more than that of the deepest element.
  init(_ elements: [JinjaObject], kind: Kind, depth: Int) {
    self.elements = elements
    self.kind = kind
    self.depth = depth
  }
}

/// An immutable dictionary in insertion order.
final class JinjaDictionary {
  let keys: [JinjaObject]
  let values: [JinjaObject]
  let depth: Int
  /// Index by key.
  private let index: [JinjaKey: Int]

  /// - Parameters:
  ///   - index: the positions of all keys.
  ///   - depth: one more than that of the deepest member.
  init(keys: [JinjaObject], values: [JinjaObject], index: [JinjaKey: Int], depth: Int) {
    self.keys = keys
    self.values = values
    self.depth = depth
    self.index = index
  }

  var count: Int { keys.count }

  subscript(name: JinjaString) -> JinjaObject? {
    // For few members, a linear scan is faster than hashing.
    if keys.count > 8 { return index[.string(name)].map { values[$0] } }
    for position in 0..<keys.count {
      if case .string(let key) = keys[position], key == name { return values[position] }
    }
    return nil
  }

  subscript(key: JinjaKey) -> JinjaObject? { index[key].map { values[$0] } }
}

/// A hashable dictionary key. Equal numbers of different types are the same key.
enum JinjaKey: Hashable {
  case null
  case undefined
  case int(Int)
  case float(Double)
  case string(JinjaString)
  case tuple([JinjaKey])
  case identity(String, Int)
}

extension JinjaInterpreter {
  /// The key for `object`; nil if Python cannot hash it.
  func key(of object: JinjaObject) throws(JinjaError) -> JinjaKey? {
    try step()
    switch object {
    case .null: return .null
    case .undefined: return .undefined
    case .bool(let value): return .int(value ? 1 : 0)
    case .int(let value): return .int(value)
    case .float(let value): return Int(exactly: value).map { .int($0) } ?? .float(value)
    case .string(let text):
      try step(text.count / 4)
      return .string(text)
    case .sequence(let sequence):
      guard sequence.kind.isTuple else { return nil }
      var keys: [JinjaKey] = []
      for element in sequence.elements {
        guard let key = try key(of: element) else { return nil }
        keys.append(key)
      }
      return .tuple(keys)
    case .macro(let number): return .identity("macro", number)
    case .global(let global): return .identity(global.rawValue, 0)
    case .dictionary, .iterator, .namespace, .loop, .method: return nil
    }
  }
}

/// A bound method.
final class JinjaMethod {
  let receiver: JinjaObject
  let name: String
  var depth: Int { receiver.depth + 1 }

  init(_ receiver: JinjaObject, _ name: String) {
    self.receiver = receiver
    self.name = name
  }
}

/// The global functions of templates.
enum JinjaGlobal: String, CaseIterable, Sendable {
  case range, dict, namespace
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"
}
