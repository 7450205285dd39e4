// What swift-argument-parser uses of Foundation, and no more: the packaged commands are built with this
// module instead of Swift's own, which would make them 5 MB larger. See scripts/build-tools.

/// An error that words its own message.
public protocol LocalizedError: Error {
  var errorDescription: String? { get }
}

extension LocalizedError {
  public var errorDescription: String? { nil }
}

/// Bytes.
public struct Data {
  let bytes: [UInt8]
}

extension String {
  /// The only encoding that is asked for.
  public enum Encoding { case utf8 }

  public init?(data: Data, encoding: Encoding) {
    guard let text = String(validating: data.bytes, as: UTF8.self) else { return nil }
    self = text
  }
}

/// Writes values as JSON with sorted keys, an entry a line, as Foundation's encoder does when asked to.
public final class JSONEncoder {
  public struct OutputFormatting: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let prettyPrinted = OutputFormatting(rawValue: 1)
    public static let sortedKeys = OutputFormatting(rawValue: 2)
  }

  /// Both, whatever is asked for.
  public var outputFormatting: OutputFormatting = []

  public init() {}

  public func encode<T: Encodable>(_ value: T) throws -> Data {
    let node = Node()
    try value.encode(to: NodeEncoder(node: node, codingPath: []))
    var text = ""
    node.write(to: &text, indent: 0)
    return Data(bytes: Array(text.utf8))
  }
}

/// A value of JSON while it is made.
private final class Node {
  enum Value {
    case scalar(String)
    case array([Node])
    case object([String: Node])
  }

  var value = Value.scalar("null")

  func member(_ key: String) -> Node {
    let child = Node()
    var members: [String: Node] = [:]
    if case .object(let present) = value { members = present }
    members[key] = child
    value = .object(members)
    return child
  }

  func element() -> Node {
    let child = Node()
    var elements: [Node] = []
    if case .array(let present) = value { elements = present }
    elements.append(child)
    value = .array(elements)
    return child
  }

  var count: Int {
    if case .array(let elements) = value { elements.count } else { 0 }
  }

  func write(to text: inout String, indent: Int) {
    let margin = String(repeating: "  ", count: indent + 1)
    let end = "\n" + String(repeating: "  ", count: indent)
    var isFirst = true
    func separate() {
      text += (isFirst ? "\n" : ",\n") + margin
      isFirst = false
    }
    switch value {
    case .scalar(let literal): text += literal
    case .array(let elements):
      text += "["
      for element in elements {
        separate()
        element.write(to: &text, indent: indent + 1)
      }
      text += end + "]"
    case .object(let members):
      text += "{"
      for (key, member) in members.sorted(by: { $0.key < $1.key }) {
        separate()
        text += quoted(key) + " : "
        member.write(to: &text, indent: indent + 1)
      }
      text += end + "}"
    }
  }
}

private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\t": result += "\\t"
    case "\r": result += "\\r"
    case "\0"..<" ":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

private struct NodeEncoder: Encoder {
  let node: Node
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    node.value = .object([:])
    return KeyedEncodingContainer(Members(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.value = .array([])
    return Elements(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    Single(node: node, codingPath: codingPath)
  }
}

private struct Single: SingleValueEncodingContainer {
  let node: Node
  let codingPath: [any CodingKey]

  func encodeNil() { node.value = .scalar("null") }
  func encode(_ value: Bool) { node.value = .scalar(value ? "true" : "false") }
  func encode(_ value: String) { node.value = .scalar(quoted(value)) }
  func encode(_ value: Double) { node.value = .scalar("\(value)") }
  func encode(_ value: Float) { node.value = .scalar("\(value)") }

  func encode<T: Encodable>(_ value: T) throws {
    switch value {
    case let value as Bool: encode(value)
    case let value as String: encode(value)
    case let value as any BinaryInteger: node.value = .scalar("\(value)")
    default: try value.encode(to: NodeEncoder(node: node, codingPath: codingPath))
    }
  }
}

private struct Elements: UnkeyedEncodingContainer {
  let node: Node
  let codingPath: [any CodingKey]
  var count: Int { node.count }

  func encodeNil() { _ = node.element() }

  func encode<T: Encodable>(_ value: T) throws {
    try Single(node: node.element(), codingPath: codingPath).encode(value)
  }

  func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    NodeEncoder(node: node.element(), codingPath: codingPath).container(keyedBy: type)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    NodeEncoder(node: node.element(), codingPath: codingPath).unkeyedContainer()
  }

  func superEncoder() -> any Encoder { NodeEncoder(node: node.element(), codingPath: codingPath) }
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: Node
  let codingPath: [any CodingKey]

  func encodeNil(forKey key: Key) { _ = node.member(key.stringValue) }

  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    try Single(node: node.member(key.stringValue), codingPath: codingPath).encode(value)
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> {
    NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath).unkeyedContainer()
  }

  func superEncoder() -> any Encoder {
    NodeEncoder(node: node.member("super"), codingPath: codingPath)
  }

  func superEncoder(forKey key: Key) -> any Encoder {
    NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath)
  }
}
