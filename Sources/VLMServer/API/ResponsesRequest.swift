import VLMFoundation
import VLMZ

/// The body of `/v1/responses`, the newer of OpenAI's APIs for answers.
///
/// Nothing is kept between requests: the whole conversation stands in `input`.
package struct ResponsesRequest: Sendable {
  package let messages: [GenerationRequest.Message]
  package let parameters: AnswerParameters
  /// What a person should know of the pictures, one line each.
  package let notes: [String]
  /// Members of the request that the response repeats.
  let repeated: JSONObject

  private static let known = AnswerParameters.known
    .subtracting(["n", "max_tokens", "response_format"])
    .union([
      "input", "instructions", "max_output_tokens", "text", "tools", "tool_choice", "reasoning",
      "include", "top_logprobs", "chat_template_kwargs", "previous_response_id",
    ])

  /// What does not change the answer.
  private static let ignored = AnswerParameters.ignored.union(["max_tool_calls"])

  /// What would change the answer and is not followed, with the values that ask for nothing.
  private static let neutral: [String: [JSONValue]] = [
    "background": [false], "truncation": ["disabled"], "conversation": [], "prompt": [],
  ]

  /// What `include` may name: log probabilities, and what only tools of OpenAI's own would give.
  private static let logProbabilities = "message.output_text.logprobs"
  private static let includable: Set<String> = [
    logProbabilities, "reasoning.encrypted_content", "file_search_call.results",
    "web_search_call.results", "web_search_call.action.sources", "code_interpreter_call.outputs",
    "computer_call_output.output.image_url", "message.input_image.image_url",
  ]

  /// - Throws: `APIError` naming the parameter that is wrong or cannot be followed.
  package init(
    _ body: JSONValue, limits: ServerLimits, randomSeed: () -> UInt64 = { .random(in: 0 ... .max) }
  ) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(known: Self.known, ignored: Self.ignored, neutral: Self.neutral)
    if fields["previous_response_id"] != nil {
      throw .unsupported(
        "previous_response_id", "this server keeps no responses; send the conversation in 'input'")
    }
    var reader = ChatMessages(limits: limits)
    if let text = try fields.string("instructions") { reader.addSystem(text) }
    try reader.addInput(fields)
    let tools = try ToolUse(fields, form: .flat)
    messages = try reader.finish(tools: tools, list: "input")
    notes = reader.notes
    var parameters = try AnswerParameters(
      fields, maximumTokens: try fields.integer("max_output_tokens", 1...Int.max),
      alternatives: try Self.alternatives(fields), limits: limits, randomSeed: randomSeed)
    try Self.setFormat(fields, tools, &parameters)
    var effort: String?
    if let value = fields["reasoning"] {
      let reasoning = try Fields(value, at: "reasoning")
      try reasoning.refuseOthers(known: ["effort"], ignored: ["summary", "generate_summary"])
      effort = try reasoning.string("effort")
    }
    parameters.templateArguments = try AnswerParameters.templateArguments(fields, effort: effort)
    parameters.tools = tools
    self.parameters = parameters
    repeated = Self.repeated(fields)
  }

  /// Alternatives to each token; nil where no probabilities are wanted.
  private static func alternatives(_ fields: Fields) throws(APIError) -> Int? {
    let included = try fields.strings("include", atMost: 100) ?? []
    for name in included where !Self.includable.contains(name) {
      throw .invalid(
        "include", found: "'\(name.escapedForDisplay(limit: 60))'",
        expected: "such as '\(logProbabilities)'")
    }
    let alternatives = try fields.integer("top_logprobs", 0...20)
    guard included.contains(logProbabilities) else {
      guard (alternatives ?? 0) == 0 else {
        throw .invalid(
          "top_logprobs", found: "no log probabilities",
          expected: "'\(logProbabilities)' in 'include'")
      }
      return nil
    }
    return alternatives ?? 0
  }

  /// What the answer must be: by `text.format`, by a required call, or by one of the other servers' names.
  private static func setFormat(
    _ fields: Fields, _ tools: ToolUse?, _ parameters: inout AnswerParameters
  ) throws(APIError) {
    var forms = [(name: parameters.formatName ?? "", format: parameters.options.format)]
    if let value = fields["text"] {
      let text = try Fields(value, at: "text")
      try text.refuseOthers(known: ["format"], neutral: ["verbosity": ["medium"]])
      if let value = text["format"] {
        let format = try AnswerFormat(ofResponse: try Fields(value, at: "text.format"))
        forms.append(("text.format", format))
      }
    }
    if let format = tools?.format { forms.append(("tool_choice", format)) }
    forms.removeAll { $0.format == .text }
    guard let last = forms.last else { return }
    guard forms.count == 1 else {
      throw .invalid(last.name, found: "\(forms[0].name) too", expected: "one of them")
    }
    parameters.options.format = last.format
    parameters.formatName = last.name == "tool_choice" ? "tools" : last.name
  }

  /// As the request has them, or what OpenAI's API has for a member that is left out.
  private static func repeated(_ fields: Fields) -> JSONObject {
    let defaults: [(key: String, value: JSONValue)] = [
      ("instructions", .null), ("max_output_tokens", .null), ("metadata", [:]),
      ("parallel_tool_calls", true), ("previous_response_id", .null),
      ("reasoning", ["effort": .null, "summary": .null]), ("temperature", .null),
      ("text", ["format": ["type": "text"]]), ("tool_choice", "auto"), ("tools", []),
      ("top_logprobs", 0), ("top_p", .null), ("truncation", "disabled"), ("user", .null),
    ]
    var object = JSONObject()
    for (key, value) in defaults { object.set(key, fields[key] ?? value) }
    return object
  }
}

/// The items of `input`.
extension ChatMessages {
  /// Adds a text, or items one behind the other.
  fileprivate mutating func addInput(_ request: Fields) throws(APIError) {
    if let text = request["input"]?.stringValue { return addUser(text) }
    guard let items = try request.array("input", atMost: 10_000), !items.isEmpty else {
      throw .invalid("input", found: "none", expected: "a string or an array of items")
    }
    for (index, item) in items.enumerated() {
      try addItem(try Fields(item, at: "input[\(index)]"))
    }
  }

  private mutating func addItem(_ fields: Fields) throws(APIError) {
    switch try fields.string("type") {
    case nil, "message": try add(fields, ignored: ["type", "id", "status", "phase"])
    case "function_call":
      guard let name = try fields.string("name") else {
        throw .invalid(fields.name("name"), found: "none", expected: "a string")
      }
      add(ToolUse.Call(name: name, arguments: try fields.string("arguments") ?? "{}"))
    case "function_call_output": try addResult(fields, "output", kind: "type")
    // What a model thought is not told to it again.
    case "reasoning": break
    case let other?:
      throw .unsupported(
        fields.name("type"),
        "found '\(other.escapedForDisplay(limit: 60))', expected message, function_call or "
          + "function_call_output")
    }
  }
}
