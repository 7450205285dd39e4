/// A value while a template runs. What is shared can't be changed, but for namespaces and loops; those
/// are named by number or held by their own depth, so that no value can contain itself.
enum JinjaObject {
  case undefined(JinjaUndefined)
  case null
  case bool(Bool)
  case int(Int)
  case float(Double)
  case string(JinjaString)
  case sequence(JinjaSequence)
  case dictionary(JinjaDictionary)
  /// What is gone through once: a generator.
  case iterator(JinjaIterator)
  /// By its number in the interpreter.
  case namespace(Int)
  /// By its number in the interpreter.
  case macro(Int)
  case loop(JinjaLoop)
  case global(JinjaGlobal)
  case method(JinjaMethod)

  static func text(_ text: String) -> JinjaObject { .string(JinjaString(text)) }

  /// As Python names it in messages.
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

  /// How deep values lie in this one.
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

  /// Of a truth value or an integer, which Python counts among the integers.
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

/// A constant of a program.
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

/// Why a value is not there; said when something is done with it.
final class JinjaUndefined {
  enum Reason {
    case name(String)
    /// `owner` as jinja2 names it.
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

/// Elements in order that do not change.
final class JinjaSequence {
  enum Kind: Equatable {
    case list, tuple, keys, values, items
    case range(start: Int, end: Int, step: Int)
    /// Of `groupby`: a tuple whose parts have names.
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

    /// Whether Python lets it be indexed.
    var hasPositions: Bool { self != .keys && self != .values && self != .items }
  }

  let kind: Kind
  let elements: [JinjaObject]
  let depth: Int

  /// - Parameter depth: one more than the deepest element's.
  init(_ elements: [JinjaObject], kind: Kind, depth: Int) {
    self.elements = elements
    self.kind = kind
    self.depth = depth
  }
}

/// Members in the order they were added, which do not change.
final class JinjaDictionary {
  let keys: [JinjaObject]
  let values: [JinjaObject]
  let depth: Int
  /// Position by key.
  private let index: [JinjaKey: Int]

  /// - Parameters:
  ///   - index: of all keys.
  ///   - depth: one more than the deepest member's.
  init(keys: [JinjaObject], values: [JinjaObject], index: [JinjaKey: Int], depth: Int) {
    self.keys = keys
    self.values = values
    self.depth = depth
    self.index = index
  }

  var count: Int { keys.count }

  subscript(name: JinjaString) -> JinjaObject? {
    // A scan is quicker than a hash where there are few.
    if keys.count > 8 { return index[.string(name)].map { values[$0] } }
    for position in 0..<keys.count {
      if case .string(let key) = keys[position], key == name { return values[position] }
    }
    return nil
  }

  subscript(key: JinjaKey) -> JinjaObject? { index[key].map { values[$0] } }
}

/// What a dictionary can be asked for; equal numbers of different types are the same key.
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
  /// What a dictionary is asked for where `object` is; nil for what Python cannot hash.
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

/// A method of a value that has not been called yet.
final class JinjaMethod {
  let receiver: JinjaObject
  let name: String
  var depth: Int { receiver.depth + 1 }

  init(_ receiver: JinjaObject, _ name: String) {
    self.receiver = receiver
    self.name = name
  }
}

/// Functions that every template has.
enum JinjaGlobal: String, CaseIterable, Sendable {
  case range, dict, namespace
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"
}
