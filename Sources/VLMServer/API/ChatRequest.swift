import VLMFoundation
import VLMZ

/// The body of `/v1/chat/completions`.
package struct ChatRequest: Sendable {
  package let messages: [GenerationRequest.Message]
  package let parameters: AnswerParameters
  /// What a person should know of the pictures, one line each.
  package let notes: [String]

  private static let known = AnswerParameters.known.union([
    "messages", "max_completion_tokens", "logprobs", "top_logprobs", "chat_template_kwargs",
    "reasoning_effort", "media_io_kwargs", "tools", "tool_choice", "continue_final_message",
    "add_generation_prompt",
  ])

  /// What would change the answer and is not followed, with the values that ask for nothing.
  private static let neutral: [String: [JSONValue]] = [
    "functions": [[]], "function_call": ["none", "auto"], "modalities": [["text"]],
  ]

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
    var reader = ChatMessages(limits: limits, frameRate: try Self.frameRate(fields))
    for (index, turn) in turns.enumerated() {
      try reader.add(try Fields(turn, at: "messages[\(index)]"))
    }
    let tools = try ToolUse(fields)
    messages = try reader.finish(tools: tools)
    notes = reader.notes
    try Self.checkContinuation(fields, isBegun: reader.isBegun)
    let tokens = try fields.either(
      "max_completion_tokens", try fields.integer("max_completion_tokens", 1...Int.max),
      "max_tokens", try fields.integer("max_tokens", 1...Int.max))
    let tells = try fields.bool("logprobs") ?? false
    let alternatives = try fields.integer("top_logprobs", 0...20)
    guard tells || (alternatives ?? 0) == 0 else {
      throw .invalid("top_logprobs", found: "no logprobs", expected: "'logprobs' to be true")
    }
    var parameters = try AnswerParameters(
      fields, maximumTokens: tokens, alternatives: tells ? alternatives ?? 0 : nil, limits: limits,
      randomSeed: randomSeed)
    parameters.templateArguments = try AnswerParameters.templateArguments(
      fields, effort: try fields.string("reasoning_effort"))
    parameters.tools = tools
    if let format = tools?.format {
      guard parameters.options.format == .text else {
        throw .invalid(
          "tool_choice", found: "a call that is required, and a form of the answer",
          expected: "one of them")
      }
      (parameters.options.format, parameters.formatName) = (format, "tools")
    }
    self.parameters = parameters
  }

  /// What vLLM's clients say of how films are read: `{"video": {"fps": 2}}`, the rate of frames that they
  /// send.
  private static func frameRate(_ fields: Fields) throws(APIError) -> Double? {
    guard let value = fields["media_io_kwargs"] else { return nil }
    let kinds = try Fields(value, at: "media_io_kwargs")
    try kinds.refuseOthers(known: ["video"], neutral: ["image": [.object(JSONObject())]])
    guard let value = kinds["video"] else { return nil }
    let video = try Fields(value, at: kinds.name("video"))
    try video.refuseOthers(known: ["fps"], neutral: ["num_frames": [-1]])
    return try video.number("fps", ChatMessages.rates)
  }

  /// vLLM's clients say whether a last message of the assistant goes on. Here it does, as with llama.cpp.
  private static func checkContinuation(_ fields: Fields, isBegun: Bool) throws(APIError) {
    for (key, expected) in [
      ("continue_final_message", isBegun), ("add_generation_prompt", !isBegun),
    ] {
      guard let given = try fields.bool(key), given != expected else { continue }
      throw .invalid(
        key, found: "\(given), and the role '\(isBegun ? "assistant" : "user")' last",
        expected: "\(expected): a last message of the assistant is the beginning of the answer")
    }
  }
}
