import VLMFoundation

/// A part of a schema's document, known by its JSON pointer.
struct SchemaPart: Sendable, Hashable {
  /// From `#` on.
  let pointer: String
  let value: JSONValue

  static func == (a: SchemaPart, b: SchemaPart) -> Bool { a.pointer.hasSameBytes(as: b.pointer) }
  func hash(into hasher: inout Hasher) { hasher.combine(pointer) }

  /// A member or an element of it.
  func part(_ name: String, _ value: JSONValue) -> SchemaPart {
    let escaped = name.utf8.map { byte -> [UInt8] in
      switch byte {
      case UInt8(ascii: "~"): Array("~0".utf8)
      case UInt8(ascii: "/"): Array("~1".utf8)
      default: [byte]
      }
    }
    return SchemaPart(
      pointer: pointer + "/" + String(decoding: escaped.joined(), as: UTF8.self), value: value)
  }

  func parts(of elements: [JSONValue]) -> [SchemaPart] {
    elements.enumerated().map { part("\($0.offset)", $0.element) }
  }
}

/// The types of JSON Schema. An integer is a number, too.
enum SchemaType: String, Sendable, CaseIterable {
  case object, array, string, number, integer, boolean, null

  init(of value: JSONValue) {
    switch value {
    case .null: self = .null
    case .bool: self = .boolean
    case .integer, .unsigned: self = .integer
    case .number: self = DecimalText(value)?.isInteger ?? false ? .integer : .number
    case .string: self = .string
    case .array: self = .array
    case .object: self = .object
    }
  }
}

/// What schemas that all hold together ask of a value, with references followed and one alternative
/// of each `anyOf` chosen.
struct SchemaNode {
  /// What one schema says of an object's members.
  struct Members {
    var properties: [(name: String, part: SchemaPart)] = []
    var additional: SchemaPart?

    func property(_ name: String) -> SchemaPart? {
      properties.first { $0.name.hasSameBytes(as: name) }?.part
    }
  }

  /// What one schema says of an array's elements.
  struct Elements {
    var prefix: [SchemaPart] = []
    var rest: SchemaPart?
  }

  /// For messages.
  let pointer: String
  var isNever = false
  /// Nil for any.
  var types: Set<SchemaType>?
  /// Those of `enum` and `const`; nil for any.
  var values: [JSONValue]?
  var numbers = NumberRange()
  var minimumLength = 0
  var maximumLength: Int?
  var pattern: SchemaPart?
  var format: SchemaPart?
  var elements: [Elements] = []
  var minimumItems = 0
  var maximumItems: Int?
  var members: [Members] = []
  var required: [String] = []
  var minimumProperties = 0
  var maximumProperties: Int?
  /// Types that the keywords are about, where no `type` says so.
  var implied: Set<SchemaType> = []
  /// A keyword that a list of values would have to be checked against.
  var assertion: String?

  init(pointer: String) { self.pointer = pointer }

  /// The types that a value may be of, by the schemas alone.
  var allowedTypes: Set<SchemaType> {
    if let values { return Set(values.map { SchemaType(of: $0) }) }
    return types ?? Set(SchemaType.allCases)
  }

  /// The types that are written: without `type` those that the keywords are about.
  var writtenTypes: Set<SchemaType> {
    values == nil && types == nil && !implied.isEmpty ? implied : allowedTypes
  }

  /// Whether a value may have this type.
  func allows(_ type: SchemaType) -> Bool {
    guard let types else { return true }
    return types.contains(type) || (type == .integer && types.contains(.number))
  }

  /// Whether a listed value keeps the bounds on lengths and numbers that stand beside the list.
  func isWithinBounds(_ value: JSONValue) -> Bool {
    if let text = value.stringValue {
      let length = text.unicodeScalars.count
      return length >= minimumLength && length <= maximumLength ?? .max
    }
    guard let number = DecimalText(value) else { return true }
    if let low = numbers.minimum, !(low.value < number || !low.isExclusive && low.value == number) {
      return false
    }
    if let high = numbers.maximum,
      !(number < high.value || !high.isExclusive && high.value == number)
    {
      return false
    }
    return true
  }

  mutating func restrict(to others: Set<SchemaType>) {
    guard let types else {
      self.types = others
      return
    }
    var common = types.intersection(others)
    let isInteger = [types, others].contains { $0.contains(.integer) }
    let areNumbers = [types, others].allSatisfy { $0.contains(.integer) || $0.contains(.number) }
    if isInteger, areNumbers, !common.contains(.number) { common.insert(.integer) }
    self.types = common
  }

  mutating func restrict(to others: [JSONValue]) {
    values =
      values.map { $0.filter { value in others.contains { Self.areEqual(value, $0) } } } ?? others
  }

  /// Whether two values are the same to JSON Schema: 1 is 1.0, and members have no order.
  static func areEqual(_ a: JSONValue, _ b: JSONValue) -> Bool {
    switch (a, b) {
    case (.array(let a), .array(let b)):
      return a.count == b.count && zip(a, b).allSatisfy { areEqual($0, $1) }
    case (.object(let a), .object(let b)):
      return a.count == b.count
        && a.members.allSatisfy { member in
          b[member.key].map { areEqual(member.value, $0) } ?? false
        }
    case (.string(let a), .string(let b)): return a.hasSameBytes(as: b)
    default:
      if let a = DecimalText(a), let b = DecimalText(b) { return a == b }
      return a == b
    }
  }
}
