import VLMFoundation

/// Reading one schema into a node.
extension SchemaNode {
  /// Keywords that say nothing of which values are valid.
  private static let annotations: Set<String> = [
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default",
    "example", "examples", "deprecated", "readOnly", "writeOnly", "contentMediaType",
    "contentEncoding", "contentSchema", "discriminator", "externalDocs", "xml",
  ]

  static func isAnnotation(_ key: String) -> Bool {
    annotations.contains(key) || key.hasPrefix("x-")
  }

  /// - Returns: false for a keyword that is about other schemas: `$ref`, `allOf`, `anyOf`, `oneOf`.
  /// - Throws: `TextError` for a keyword that is not supported, by its name, or with an invalid value.
  mutating func read(
    _ key: String, _ part: SchemaPart, file: String
  ) throws(TextError) -> Bool {
    let reader = KeywordReader(part: part, file: file)
    switch key {
    case "$ref", "allOf", "anyOf", "oneOf": return false
    case "type":
      let names = try reader.names()
      var types = Set<SchemaType>()
      for name in names {
        guard let type = SchemaType(rawValue: name) else {
          throw reader.error(
            "'\(name)'", "one of object, array, string, number, integer, boolean, null")
        }
        types.insert(type)
      }
      restrict(to: types)
    case "enum": restrict(to: try reader.array())
    case "const": restrict(to: [part.value])
    case "properties", "required", "additionalProperties", "minProperties", "maxProperties":
      try readMembers(key, reader)
    case "items", "prefixItems", "minItems", "maxItems", "uniqueItems":
      try readElements(key, reader)
    case "minLength", "maxLength", "pattern", "format": try readString(key, reader)
    case "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum":
      try readBound(key, reader)
    default:
      if Self.isAnnotation(key) { return true }
      throw reader.unsupported("'\(key)'")
    }
    return true
  }

  private mutating func readMembers(_ key: String, _ reader: KeywordReader) throws(TextError) {
    implied.insert(.object)
    assertion = assertion ?? key
    switch key {
    case "properties":
      members[members.count - 1].properties = try reader.object().members.map {
        ($0.key, reader.part.part($0.key, $0.value))
      }
    case "additionalProperties": members[members.count - 1].additional = reader.part
    case "required":
      for name in try reader.strings()
      where !required.contains(where: { $0.hasSameBytes(as: name) }) {
        required.append(name)
      }
    case "minProperties": minimumProperties = max(minimumProperties, try reader.count())
    default: maximumProperties = min(maximumProperties ?? .max, try reader.count())
    }
  }

  private mutating func readElements(_ key: String, _ reader: KeywordReader) throws(TextError) {
    implied.insert(.array)
    assertion = assertion ?? key
    switch key {
    case "prefixItems":
      elements[elements.count - 1].prefix = reader.part.parts(of: try reader.array())
    case "items":
      guard reader.part.value.arrayValue == nil else {
        throw reader.error("an array", "one schema; 'prefixItems' has an array of them")
      }
      elements[elements.count - 1].rest = reader.part
    case "minItems": minimumItems = max(minimumItems, try reader.count())
    case "maxItems": maximumItems = min(maximumItems ?? .max, try reader.count())
    default:
      guard reader.part.value == .bool(false) else { throw reader.unsupported("'uniqueItems'") }
    }
  }

  private mutating func readString(_ key: String, _ reader: KeywordReader) throws(TextError) {
    implied.insert(.string)
    if key == "pattern" || key == "format" { assertion = assertion ?? key }
    switch key {
    case "minLength": minimumLength = max(minimumLength, try reader.count())
    case "maxLength": maximumLength = min(maximumLength ?? .max, try reader.count())
    case "pattern":
      if let pattern, pattern.value != reader.part.value {
        throw reader.unsupported("a second 'pattern', beside that of \(pattern.pointer),")
      }
      _ = try reader.string()
      pattern = reader.part
    default:
      if let format, format.value != reader.part.value {
        throw reader.unsupported("a second 'format', beside that of \(format.pointer),")
      }
      _ = try reader.string()
      format = reader.part
    }
  }

  private mutating func readBound(_ key: String, _ reader: KeywordReader) throws(TextError) {
    implied.insert(.number)
    guard let value = DecimalText(reader.part.value) else {
      throw reader.error(
        reader.part.value.serialized(),
        "a number of at most \(DecimalText.maximumDigits) digits on either side of its point")
    }
    let bound = NumberRange.Bound(value: value, isExclusive: key.hasPrefix("exclusive"))
    // The stricter one of two.
    if key.hasSuffix("inimum") {
      if let old = numbers.minimum, !(old.value < value || old.value == value && bound.isExclusive)
      {
        return
      }
      numbers.minimum = bound
    } else {
      if let old = numbers.maximum, !(value < old.value || old.value == value && bound.isExclusive)
      {
        return
      }
      numbers.maximum = bound
    }
  }
}

/// The value of a keyword, checked.
struct KeywordReader {
  let part: SchemaPart
  let file: String

  func error(_ found: String, _ expected: String) -> TextError {
    TextError(file: file, place: part.pointer, .value(found: found, expected: expected))
  }

  func unsupported(_ what: String) -> TextError {
    TextError(file: file, place: part.pointer, .unsupported(what))
  }

  private func wrong(_ expected: String) -> TextError {
    error(part.value.kindWithArticle, expected)
  }

  func string() throws(TextError) -> String {
    guard let text = part.value.stringValue else { throw wrong("a string") }
    return text
  }

  func array() throws(TextError) -> [JSONValue] {
    guard let array = part.value.arrayValue else { throw wrong("an array") }
    return array
  }

  func object() throws(TextError) -> JSONObject {
    guard let object = part.value.objectValue else { throw wrong("an object") }
    return object
  }

  func strings() throws(TextError) -> [String] {
    var texts: [String] = []
    for value in try array() {
      guard let text = value.stringValue else {
        throw error(value.kindWithArticle, "an array of strings")
      }
      texts.append(text)
    }
    return texts
  }

  /// A string, or several.
  func names() throws(TextError) -> [String] {
    if let name = part.value.stringValue { return [name] }
    guard part.value.arrayValue != nil else { throw wrong("a string, or an array of strings") }
    return try strings()
  }

  /// A number of things.
  func count() throws(TextError) -> Int {
    guard let count = part.value.intValue, count >= 0 else {
      throw error(part.value.serialized(), "a whole number, 0 or more")
    }
    return count
  }
}
