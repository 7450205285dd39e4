import VLMFoundation
import VLMZ

/// The body of `/v1/chat/completions`.
package struct ChatRequest: Sendable {
  package let messages: [GenerationRequest.Message]
  package let parameters: AnswerParameters
  package let format: AnswerFormat

  private static let known = AnswerParameters.known.union([
    "messages", "max_completion_tokens", "logprobs", "top_logprobs", "response_format",
  ])

  private static let neutral = AnswerParameters.neutral.merging([
    "tools": [[]], "functions": [[]], "tool_choice": ["none", "auto"],
    "function_call": ["none", "auto"], "modalities": [["text"]],
  ]) { $1 }

  /// - Throws: `APIError` naming the parameter that is wrong or cannot be followed.
  package init(
    _ body: JSONValue, limits: ServerLimits, randomSeed: () -> UInt64 = { .random(in: 0 ... .max) }
  ) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(
      known: Self.known, ignored: AnswerParameters.ignored, neutral: Self.neutral)
    guard let turns = try fields.array("messages", atMost: 10_000), !turns.isEmpty else {
      throw .invalid("messages", found: "none", expected: "one or more")
    }
    var reader = ChatMessages(limits: limits)
    for (index, turn) in turns.enumerated() {
      try reader.add(try Fields(turn, at: "messages[\(index)]"))
    }
    messages = try reader.finish()
    let older = try fields.integer("max_tokens", 1...Int.max)
    let tokens = try fields.integer("max_completion_tokens", 1...Int.max) ?? older
    let tells = try fields.bool("logprobs") ?? false
    let alternatives = try fields.integer("top_logprobs", 0...20)
    guard tells || (alternatives ?? 0) == 0 else {
      throw .invalid("top_logprobs", found: "no logprobs", expected: "'logprobs' to be true")
    }
    parameters = try AnswerParameters(
      fields, maximumTokens: tokens, alternatives: tells ? alternatives ?? 0 : nil, limits: limits,
      randomSeed: randomSeed)
    format = try AnswerFormat(fields)
  }
}

extension AnswerFormat {
  /// As `response_format` says it.
  fileprivate init(_ request: Fields) throws(APIError) {
    guard let value = request["response_format"] else {
      self = .text
      return
    }
    let fields = try Fields(value, at: "response_format")
    switch try fields.string("type") {
    case "text": self = .text
    case "json_object": self = .jsonObject
    case "json_schema":
      guard let stated = fields["json_schema"] else {
        throw .invalid("response_format.json_schema", found: "none", expected: "an object")
      }
      let inner = try Fields(stated, at: "response_format.json_schema")
      try inner.refuseOthers(known: ["schema"], ignored: ["name", "description", "strict"])
      self = inner["schema"].map { .jsonSchema($0.serialized()) } ?? .jsonObject
    case let other:
      throw .invalid(
        "response_format.type", found: other.map { "'\($0)'" } ?? "none",
        expected: "text, json_object or json_schema")
    }
  }
}
