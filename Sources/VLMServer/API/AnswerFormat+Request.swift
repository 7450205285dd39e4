import VLMFoundation
import VLMZ

/// What an answer must be, in the words of several servers.
extension AnswerFormat {
  /// `response_format` is OpenAI's; `grammar` and `json_schema` are llama.cpp's, and the others vLLM's.
  static let parameters: Set<String> = [
    "response_format", "grammar", "json_schema", "guided_json", "guided_choice", "guided_grammar",
  ]

  /// As a request says it, with the parameter that does; nil where it says nothing.
  ///
  /// - Throws: `APIError` for a value that cannot be, or for two forms at once.
  static func given(
    _ request: Fields
  ) throws(APIError) -> (name: String, format: AnswerFormat)? {
    var given: (name: String, format: AnswerFormat)?
    for name in Self.parameters.sorted() where request[name] != nil {
      let format = try Self.format(request, name)
      if format == .text { continue }
      if let other = given {
        throw .invalid(name, found: "'\(other.name)' too", expected: "one of them")
      }
      given = (name, format)
    }
    return given
  }

  private static func format(_ request: Fields, _ name: String) throws(APIError) -> AnswerFormat {
    switch name {
    case "response_format": return try response(request)
    case "grammar", "guided_grammar": return .grammar(try request.string(name) ?? "")
    case "guided_choice": return .grammar(try choices(request, name))
    default:
      guard let value = request[name] else { return .text }
      // vLLM's clients send a schema as a text, too.
      return .jsonSchema(value.stringValue ?? value.serialized())
    }
  }

  private static func response(_ request: Fields) throws(APIError) -> AnswerFormat {
    guard let value = request["response_format"] else { return .text }
    let fields = try Fields(value, at: "response_format")
    return try named(fields, fields.name("json_schema.schema")) {
      () throws(APIError) -> JSONValue? in
      guard let stated = fields["json_schema"] else {
        throw .invalid(fields.name("json_schema"), found: "none", expected: "an object")
      }
      let inner = try Fields(stated, at: fields.name("json_schema"))
      try inner.refuseOthers(known: ["schema"], ignored: ["name", "description", "strict"])
      return inner["schema"]
    }
  }

  /// As `text` of a response says it: there the schema stands beside its name.
  ///
  /// - Parameter format: `text.format`.
  init(ofResponse format: Fields) throws(APIError) {
    self = try Self.named(format, format.name("schema")) { () throws(APIError) -> JSONValue? in
      try format.refuseOthers(
        known: ["type", "schema"], ignored: ["name", "description", "strict"])
      return format["schema"]
    }
  }

  /// - Parameters:
  ///   - place: where the schema stands.
  ///   - schema: reads that of the type "json_schema".
  private static func named(
    _ fields: Fields, _ place: String, schema: () throws(APIError) -> JSONValue?
  ) throws(APIError) -> AnswerFormat {
    switch try fields.string("type") {
    case "text": return .text
    case "json_object":
      // llama.cpp's form of a schema.
      return fields["schema"].map { .jsonSchema($0.serialized()) } ?? .jsonObject
    case "json_schema":
      guard let schema = try schema() else {
        throw .invalid(
          place, found: "none",
          expected: "a JSON Schema; the type 'json_object' asks for any object")
      }
      return .jsonSchema(schema.serialized())
    case let other:
      throw .invalid(
        fields.name("type"), found: other.map { "'\($0)'" } ?? "none",
        expected: "text, json_object or json_schema")
    }
  }

  /// A grammar of some texts.
  private static func choices(_ request: Fields, _ name: String) throws(APIError) -> String {
    guard let value = request[name], value.arrayValue != nil,
      let texts = try request.strings(name, atMost: 1000), !texts.isEmpty
    else {
      throw .invalid(
        name, found: request[name].map { Fields.shown($0) } ?? "none",
        expected: "an array of one or more strings")
    }
    let quoted = texts.map { text in
      let escaped = text.unicodeScalars.map { scalar -> String in
        switch scalar {
        case "\\": "\\\\"
        case "\"": "\\\""
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: String(scalar)
        }
      }
      return "\"" + escaped.joined() + "\""
    }
    return "root ::= " + quoted.joined(separator: " | ") + "\n"
  }
}
