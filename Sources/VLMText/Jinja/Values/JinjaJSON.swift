/// `json.dumps`, as called by transformers' `tojson` filter.
struct JinjaJSONWriter {
  private let run: JinjaInterpreter
  /// The indentation per level; nil for a single line.
  private let indent: [UInt32]?
  private let itemSeparator: JinjaString
  private let keySeparator: JinjaString
  private let sortsKeys: Bool
  private let escapesUnicode: Bool
  private(set) var scalars: [UInt32] = []

  /// - Parameters:
  ///   - separators: the separators between items and after keys; nil for Python's defaults.
  init(
    _ run: JinjaInterpreter, indent: [UInt32]?, separators: (JinjaString, JinjaString)?,
    sortsKeys: Bool, escapesUnicode: Bool
  ) {
    self.run = run
    self.indent = indent
    itemSeparator = separators?.0 ?? JinjaString(indent == nil ? ", " : ",")
    keySeparator = separators?.1 ?? JinjaString(": ")
    self.sortsKeys = sortsKeys
    self.escapesUnicode = escapesUnicode
  }

  private mutating func append(_ text: String) {
    scalars.append(contentsOf: text.unicodeScalars.lazy.map(\.value))
  }

  private mutating func newline(_ level: Int) throws(JinjaError) {
    guard let indent else { return }
    let (count, overflows) = indent.count.multipliedReportingOverflow(by: level)
    try run.charge(overflows ? .max : count, each: 4)
    scalars.append(0x0a)
    for _ in 0..<level { scalars += indent }
  }

  /// Recurses to the depth of the value.
  mutating func write(_ value: JinjaObject, level: Int = 0) throws(JinjaError) {
    try run.step()
    try run.charge(16)
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .int(let value): append(String(value))
    case .float(let value):
      try run.step(JinjaNumber.steps)
      append(Self.number(value))
    case .string(let text): try quote(text)
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind.isTuple:
      if sequence.elements.isEmpty { return append("[]") }
      append("[")
      for (position, element) in sequence.elements.enumerated() {
        if position > 0 { scalars += itemSeparator.scalars }
        try newline(level + 1)
        try write(element, level: level + 1)
      }
      try newline(level)
      append("]")
    case .dictionary(let dictionary): try write(dictionary, level)
    default:
      throw run.error(
        .value("Object of type \(value.typeName) is not JSON serializable"))
    }
  }

  private mutating func write(_ dictionary: JinjaDictionary, _ level: Int) throws(JinjaError) {
    if dictionary.count == 0 { return append("{}") }
    var order = Array(0..<dictionary.count)
    if sortsKeys {
      order = try run.sorted(order.map { (dictionary.keys[$0], $0) }, reverse: false)
    }
    append("{")
    for (count, position) in order.enumerated() {
      if count > 0 { scalars += itemSeparator.scalars }
      try newline(level + 1)
      switch dictionary.keys[position] {
      case .string(let key): try quote(key)
      case .null: append("\"null\"")
      case .bool(let key): append(key ? "\"true\"" : "\"false\"")
      case .int(let key): append("\"\(key)\"")
      case .float(let key): append("\"\(Self.number(key))\"")
      case let key:
        throw run.error(
          .value("keys must be str, int, float, bool or None, not \(key.typeName)"))
      }
      scalars += keySeparator.scalars
      try write(dictionary.values[position], level: level + 1)
    }
    try newline(level)
    append("}")
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    return JinjaNumber.representation(value)
  }

  private static let escapes: [UInt32: String] = [
    0x22: "\\\"", 0x5c: "\\\\", 0x08: "\\b", 0x09: "\\t", 0x0a: "\\n", 0x0c: "\\f", 0x0d: "\\r",
  ]

  private mutating func quote(_ text: JinjaString) throws(JinjaError) {
    try run.charge(text.count, each: 8)
    append("\"")
    for scalar in text.scalars {
      let value = scalar & JinjaString.valueMask
      if value >= 0x20, value != 0x22, value != 0x5c, value < 0x7f || !escapesUnicode {
        scalars.append(scalar)
        continue
      }
      let mark = scalar & JinjaString.userMark
      var escape = Self.escapes[value] ?? ""
      if escape.isEmpty {
        let units = value < 0x10000 ? [value] : [0xd7c0 + value >> 10, 0xdc00 + value & 0x3ff]
        for unit in units {
          escape += "\\u" + JinjaNumber.padded(String(unit, radix: 16), 4)
        }
      }
      scalars.append(contentsOf: escape.unicodeScalars.lazy.map { $0.value | mark })
    }
    append("\"")
  }
}
