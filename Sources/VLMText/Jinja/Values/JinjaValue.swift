import VLMFoundation

/// A value passed to a template.
package indirect enum JinjaValue: Sendable, Equatable {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  /// `isUserText`: the text came from the user, see `JinjaText`.
  case text(String, isUserText: Bool)
  case list([JinjaValue])
  /// Members in order; the last value of a repeated key counts.
  case dictionary([Member])

  package struct Member: Sendable, Equatable {
    package let key: String
    package let value: JinjaValue

    package init(_ key: String, _ value: JinjaValue) {
      self.key = key
      self.value = value
    }
  }

  /// Text that does not come from the user.
  package static func string(_ text: String) -> JinjaValue { .text(text, isUserText: false) }

  /// Converts a JSON value.
  ///
  /// - Parameter isUserText: applies to all strings except object keys.
  package init(_ json: JSONValue, isUserText: Bool = false) {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .int(Int(value))
    case .unsigned(let value): self = .double(Double(value))
    case .number(let number): self = .double(number.value)
    case .string(let text): self = .text(text, isUserText: isUserText)
    case .array(let elements):
      self = .list(elements.map { JinjaValue($0, isUserText: isUserText) })
    case .object(let object):
      self = .dictionary(
        object.members.map { Member($0.key, JinjaValue($0.value, isUserText: isUserText)) })
    }
  }
}

extension JinjaValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int) { self = .int(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(floatLiteral value: Double) { self = .double(value) }
  package init(arrayLiteral elements: JinjaValue...) { self = .list(elements) }
  package init(dictionaryLiteral elements: (String, JinjaValue)...) {
    self = .dictionary(elements.map { Member($0.0, $0.1) })
  }
}
