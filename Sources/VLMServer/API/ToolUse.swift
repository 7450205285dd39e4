import VLMFoundation
import VLMZ

/// The functions that an answer may ask its client to call.
///
/// They are described, called and answered in the syntax of Hermes and Qwen, whose templates write the
/// same texts: `<tools>`, `<tool_call>` and `<tool_response>`. Other models read it as a part of what they
/// are told, and may follow it; where a call is required, a schema makes them.
package struct ToolUse: Sendable, Equatable {
  /// One function.
  struct Function: Sendable, Equatable {
    let name: String
    /// What the request says of it, as the model is told.
    let description: JSONValue
    /// A JSON Schema of its arguments.
    let parameters: JSONValue
  }

  /// A call that an answer asks for.
  struct Call: Sendable, Equatable {
    let name: String
    /// A JSON object, as the API has it: a text.
    let arguments: String
  }

  /// The functions that may be called.
  let functions: [Function]
  /// Whether the answer must be a call.
  let isRequired: Bool
  /// Whether an answer may ask for several calls; otherwise the first one counts.
  let isParallel: Bool

  /// Functions of a request at most.
  private static let maximumCount = 128

  /// How a request writes functions.
  enum Form {
    /// `{"type": "function", "function": {"name": …}}`, as chats do.
    case nested
    /// `{"type": "function", "name": …}`, as responses do.
    case flat
  }

  /// - Returns: nil for a request without tools, or one that wants none.
  /// - Throws: `APIError` for a tool that cannot be, or a choice that is none of them.
  init?(_ request: Fields, form: Form = .nested) throws(APIError) {
    isParallel = try request.bool("parallel_tool_calls") ?? true
    var functions: [Function] = []
    for (index, tool) in (try request.array("tools", atMost: Self.maximumCount) ?? []).enumerated()
    {
      functions.append(try Self.function(try Fields(tool, at: "tools[\(index)]"), form))
    }
    let choice = request["tool_choice"]
    switch choice?.stringValue {
    case "none": return nil
    case nil where choice == nil, "auto": isRequired = false
    case "required": isRequired = true
    default:
      let named = (form == .flat ? choice : choice?["function"])?["name"]?.stringValue
      functions = functions.filter { $0.name == named }
      guard !functions.isEmpty else {
        let expected = "none, auto, required, or an object that names one of 'tools'"
        guard let named else {
          throw request.invalid("tool_choice", choice ?? .null, expected: expected)
        }
        throw .invalid(
          "tool_choice", found: "the function '\(named.escapedForDisplay(limit: 64))'",
          expected: expected)
      }
      isRequired = true
    }
    guard !functions.isEmpty else {
      guard !isRequired else {
        throw .invalid("tool_choice", found: "no tools", expected: "one or more in 'tools'")
      }
      return nil
    }
    self.functions = functions
  }

  private static func function(_ tool: Fields, _ form: Form) throws(APIError) -> Function {
    if let kind = try tool.string("type"), kind != "function" {
      throw .unsupported(tool.name("type"), "found '\(kind.prefix(40))', expected 'function'")
    }
    let (fields, value) = try described(tool, form)
    try fields.refuseOthers(
      known: ["name", "description", "parameters"],
      ignored: form == .flat ? ["type", "strict"] : ["strict"])
    guard let name = try fields.string("name"), (1...64).contains(name.utf8.count),
      name.utf8.allSatisfy({ isNameByte($0) })
    else {
      throw .invalid(
        fields.name("name"), found: fields["name"].map { Fields.shown($0) } ?? "none",
        expected: "1 to 64 letters, digits, '_', '-' or '.'")
    }
    let parameters = fields["parameters"] ?? Self.nothing
    guard let schema = parameters.objectValue else {
      throw fields.invalid("parameters", parameters, expected: "a JSON Schema")
    }
    return Function(
      name: name, description: value,
      parameters: Self.takesNothing(schema) ? Self.nothing : parameters)
  }

  /// The members that describe a function, and what the model is told of them.
  private static func described(
    _ tool: Fields, _ form: Form
  ) throws(APIError) -> (Fields, JSONValue) {
    switch form {
    case .nested:
      guard let value = tool["function"] else {
        throw .invalid(tool.name("function"), found: "none", expected: "an object")
      }
      return (try Fields(value, at: tool.name("function")), value)
    case .flat:
      var object = JSONObject()
      for key in ["name", "description", "parameters"] {
        if let value = tool[key] { object.set(key, value) }
      }
      return (tool, .object(object))
    }
  }

  /// The schema of `{}` alone.
  private static let nothing: JSONValue = [
    "type": "object", "properties": [:], "additionalProperties": false,
  ]

  /// Whether a schema of arguments names none. As JSON Schema has it, any would do then; what is meant
  /// is a function without arguments.
  private static func takesNothing(_ schema: JSONObject) -> Bool {
    schema.members.allSatisfy { member in
      switch member.key {
      case "type": member.value == "object"
      case "properties": member.value.objectValue?.members.isEmpty ?? member.value.isNull
      case "required": member.value.arrayValue?.isEmpty ?? member.value.isNull
      case "additionalProperties": member.value == false || member.value.isNull
      case "$schema", "title", "description", "strict": true
      default: false
      }
    }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2d, 0x2e: true
    default: false
    }
  }

  // MARK: - What the model is told

  /// What stands behind the system message; the words are those of Qwen's templates.
  var instructions: String {
    let lines = functions.map { function -> String in
      let tool: JSONValue = ["type": "function", "function": function.description]
      return tool.serialized()
    }
    return """
      # Tools

      You may call one or more functions to assist with the user query.

      You are provided with function signatures within <tools></tools> XML tags:
      <tools>
      \(lines.joined(separator: "\n"))
      </tools>

      For each function call, return a json object with function name and arguments within \
      <tool_call></tool_call> XML tags:
      <tool_call>
      {"name": <function-name>, "arguments": <args-json-object>}
      </tool_call>
      """
  }

  /// A call as the model wrote it, or would have.
  static func text(of call: Call) -> String {
    let arguments = (try? JSONValue.parse(call.arguments)) ?? .string(call.arguments)
    let object: JSONValue = ["name": .string(call.name), "arguments": arguments]
    return "<tool_call>\n\(object.serialized())\n</tool_call>"
  }

  /// What a call gave, as the model reads it.
  static func text(ofResult text: String) -> String {
    "<tool_response>\n\(text)\n</tool_response>"
  }

  /// What the answer must be; nil where it may be any text.
  var format: AnswerFormat? {
    guard isRequired else { return nil }
    var definitions = JSONObject()
    var calls: [JSONValue] = []
    for (index, function) in functions.enumerated() {
      let place = "tool\(index)"
      definitions.set(place, Self.moved(function.parameters, to: "#/$defs/\(place)"))
      calls.append([
        "type": "object", "additionalProperties": false, "required": ["name", "arguments"],
        "properties": [
          "name": ["type": "string", "const": .string(function.name)],
          "arguments": ["$ref": .string("#/$defs/\(place)")],
        ],
      ])
    }
    let schema: JSONValue =
      calls.count == 1
      ? ["$defs": .object(definitions), "$ref": "#/$defs/call"]
      : ["$defs": .object(definitions), "anyOf": .array(calls)]
    guard calls.count == 1, var object = schema.objectValue else {
      return .jsonSchema(schema.serialized())
    }
    definitions.set("call", calls[0])
    object.set("$defs", .object(definitions))
    return .jsonSchema(JSONValue.object(object).serialized())
  }

  /// A schema whose references to itself hold where it stands in another one.
  private static func moved(_ schema: JSONValue, to place: String) -> JSONValue {
    switch schema {
    case .object(let object):
      var result = JSONObject()
      for member in object.members {
        if member.key == "$ref", let target = member.value.stringValue, target.hasPrefix("#") {
          result.set("$ref", .string(place + target.dropFirst()))
        } else {
          result.set(member.key, moved(member.value, to: place))
        }
      }
      return .object(result)
    case .array(let elements): return .array(elements.map { moved($0, to: place) })
    default: return schema
    }
  }
}
