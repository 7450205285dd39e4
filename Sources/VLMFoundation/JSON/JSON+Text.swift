extension JSONValue {
  /// Parses one JSON text that fills `bytes`.
  package static func parse(
    _ bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    var scanner = try JSONScanner(bytes, limits: limits)
    let value = try scanner.value()
    try scanner.finish()
    return value
  }

  /// Parses one JSON text that fills `bytes`.
  package static func parse(
    _ bytes: [UInt8], limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(JSONError) in try parse(buffer, limits: limits) }
    }
    return try result.get()
  }

  /// Parses one JSON text.
  package static func parse(
    _ text: String, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    try parse(Array(text.utf8), limits: limits)
  }

  /// The value as text, members in their stored order; the same value always gives the same text.
  ///
  /// - Parameter pretty: two-space indent, one member or element a line, no newline at the end;
  ///   otherwise no whitespace at all.
  package func serialized(pretty: Bool = false) -> String {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self, indent: 0)
    return String(decoding: writer.bytes, as: UTF8.self)
  }
}

/// Collects the text of a value. Recursion is as deep as the value, which a caller builds or the
/// parser has bounded.
private struct JSONWriter {
  let pretty: Bool
  var bytes: [UInt8] = []

  init(pretty: Bool) { self.pretty = pretty }

  mutating func write(_ value: JSONValue, indent: Int) {
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .integer(let value): append(String(value))
    case .unsigned(let value): append(String(value))
    case .number(let number): append(number.literal)
    case .string(let value): quote(value)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (position, element) in elements.enumerated() {
        separate(position, indent: indent + 1)
        write(element, indent: indent + 1)
      }
      if !elements.isEmpty { newline(indent: indent) }
      bytes.append(UInt8(ascii: "]"))
    case .object(let object):
      bytes.append(UInt8(ascii: "{"))
      for (position, member) in object.members.enumerated() {
        separate(position, indent: indent + 1)
        quote(member.key)
        append(pretty ? ": " : ":")
        write(member.value, indent: indent + 1)
      }
      if !object.isEmpty { newline(indent: indent) }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func separate(_ position: Int, indent: Int) {
    if position > 0 { bytes.append(UInt8(ascii: ",")) }
    newline(indent: indent)
  }

  private mutating func newline(indent: Int) {
    guard pretty else { return }
    bytes.append(0x0a)
    bytes.append(contentsOf: repeatElement(0x20, count: 2 * indent))
  }

  /// Escapes what RFC 8259 says must be, and nothing else.
  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): append("\\\"")
      case UInt8(ascii: "\\"): append("\\\\")
      case 0x08: append("\\b")
      case 0x09: append("\\t")
      case 0x0a: append("\\n")
      case 0x0c: append("\\f")
      case 0x0d: append("\\r")
      case 0..<0x20: append("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
