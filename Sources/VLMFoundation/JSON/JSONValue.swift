/// A JSON text as a value: RFC 8259, with objects in the order they were written.
///
/// Everything here that reads or writes JSON goes through this type. Numbers keep what the text
/// said: an integer literal that fits 64 bits is exact, anything else keeps its literal, so `1.0`,
/// `1e3` and `-0` are never taken for integers.
package enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// An integer literal that fits `Int64`.
  case integer(Int64)
  /// An integer literal above `Int64.max` that fits `UInt64`.
  case unsigned(UInt64)
  /// Any other number: with a fraction, an exponent, a negative zero, or beyond 64 bits.
  indirect case number(JSONNumber)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// A number from a double. JSON has no infinities and no NaN: those become `null`.
  package static func double(_ value: Double) -> JSONValue {
    value.isFinite ? .number(JSONNumber(value)) : .null
  }

  package static func int(_ value: Int) -> JSONValue { .integer(Int64(value)) }

  package var isNull: Bool { self == .null }

  package var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The value of an integer literal that fits `Int`; nil for `1.0`.
  package var intValue: Int? {
    if case .integer(let value) = self { Int(exactly: value) } else { nil }
  }

  /// The value of a non-negative integer literal that fits `UInt64`.
  package var unsignedValue: UInt64? {
    switch self {
    case .integer(let value): UInt64(exactly: value)
    case .unsigned(let value): value
    default: nil
    }
  }

  /// Any number, rounded to a double.
  package var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .number(let number): number.value
    default: nil
    }
  }

  package var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  package var arrayValue: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  package var objectValue: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// The member `key` of an object; nil when there is none or this is no object.
  package subscript(key: String) -> JSONValue? { objectValue?[key] }

  /// "object", "array" …, for messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .integer, .unsigned, .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}

extension JSONValue {
  /// "an object", "a number", "null" …
  package var kindWithArticle: String {
    switch self {
    case .null: kind
    case .array, .object: "an " + kind
    default: "a " + kind
    }
  }
}

/// A number that is no 64-bit integer literal: its value, and the text it was written as.
package struct JSONNumber: Sendable, Equatable {
  package let value: Double
  package let literal: String

  /// The caller has checked that `literal` is a JSON number whose nearest double is `value`.
  init(value: Double, literal: String) {
    self.value = value
    self.literal = literal
  }

  /// The shortest literal that reads back as `value`, which is finite.
  init(_ value: Double) {
    self.init(value: value, literal: "\(value)")
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(floatLiteral value: Double) { self = .double(value) }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

  /// A key written twice keeps its last value.
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in elements { object.set(key, value) }
    self = .object(object)
  }
}
