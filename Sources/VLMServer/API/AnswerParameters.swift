import VLMFoundation
import VLMZ

/// How an answer is made: what requests for chats and for completions have in common.
package struct AnswerParameters: Sendable {
  package var options: AnswerOptions
  /// The parameter that says what the answer must be; nil for none.
  package var formatName: String?
  /// Answers to each prompt.
  package var count: Int
  package var isStreamed: Bool
  /// Whether the last piece of a stream says how many tokens there were.
  package var tellsUsage: Bool
  /// Alternatives to each token that are told; nil for no probabilities.
  package var alternatives: Int?
  /// Variables for the chat template: a JSON object; nil for none.
  package var templateArguments: String?
  /// Functions that the answer may ask for; nil for none.
  package var tools: ToolUse?

  static let known = Set<String>([
    "model", "stream", "stream_options", "stop", "seed", "temperature", "top_p", "top_k", "min_p",
    "repetition_penalty", "repeat_penalty", "max_tokens", "n", "presence_penalty",
    "frequency_penalty", "logit_bias", "parallel_tool_calls",
  ]).union(AnswerFormat.parameters)

  /// What does not change the answer.
  static let ignored: Set<String> = [
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "prediction",
  ]

  /// - Throws: `APIError` for a value that cannot be.
  init(
    _ fields: Fields, maximumTokens: Int?, alternatives: Int?, limits: ServerLimits,
    randomSeed: () -> UInt64
  ) throws(APIError) {
    isStreamed = try fields.bool("stream") ?? false
    tellsUsage = false
    if let value = fields["stream_options"] {
      guard isStreamed else {
        throw .invalid("stream_options", found: "no stream", expected: "'stream' to be true")
      }
      let options = try Fields(value, at: "stream_options")
      try options.refuseOthers(known: ["include_usage"], ignored: ["include_obfuscation"])
      tellsUsage = try options.bool("include_usage") ?? false
    }
    count = try fields.integer("n", 1...limits.choices) ?? 1
    self.alternatives = alternatives
    let stops = try fields.strings("stop", atMost: 16) ?? []
    for stop in stops where stop.isEmpty || stop.utf8.count > 1000 {
      throw .invalid(
        "stop", found: "\(stop.utf8.count) bytes", expected: "texts of 1 to 1000 bytes")
    }
    let penalty = try fields.either(
      "repeat_penalty", try fields.number("repeat_penalty", 0.01...100),
      "repetition_penalty", try fields.number("repetition_penalty", 0.01...100))
    let given = try AnswerFormat.given(fields)
    formatName = given?.name
    options = AnswerOptions(
      maximumTokens: min(maximumTokens ?? limits.answerTokens, limits.answerTokens),
      temperature: try fields.number("temperature", 0...2),
      topK: try fields.integer("top_k", -1...1_000_000_000).map { max(0, $0) },
      topP: try fields.number("top_p", 0...1), minP: try fields.number("min_p", 0...1),
      repeatPenalty: penalty,
      presencePenalty: try fields.number("presence_penalty", -2...2) ?? 0,
      frequencyPenalty: try fields.number("frequency_penalty", -2...2) ?? 0,
      tokenBiases: try Self.biases(fields), seed: try Self.seed(fields) ?? randomSeed(),
      stopStrings: stops, format: given?.format ?? .text)
  }

  /// `{"50256": -100}`: ids of tokens, and what is added to their logits.
  private static func biases(_ fields: Fields) throws(APIError) -> [Int: Double] {
    guard let value = fields["logit_bias"] else { return [:] }
    guard let object = value.objectValue, object.members.count <= 1024 else {
      throw fields.invalid(
        "logit_bias", value, expected: "an object with at most 1024 ids of tokens")
    }
    var biases: [Int: Double] = [:]
    for member in object.members {
      guard let id = Int(member.key), id >= 0, let bias = member.value.doubleValue,
        (-100...100).contains(bias)
      else {
        throw .invalid(
          "logit_bias", found: "'\(member.key)': \(Fields.shown(member.value))",
          expected: "ids of tokens with numbers from -100 to 100")
      }
      biases[id] = bias
    }
    return biases
  }

  /// Refuses a bias of a token that a model does not have, which would change nothing.
  ///
  /// - Parameter count: tokens of its vocabulary.
  func checkBiases(vocabulary count: Int) throws(APIError) {
    guard let last = options.tokenBiases.keys.max(), last >= count else { return }
    throw .invalid(
      "logit_bias", found: "token \(last)", expected: "ids of the model's tokens, 0 to \(count - 1)"
    )
  }

  /// Variables for the chat template, as a JSON object; nil for none.
  ///
  /// `chat_template_kwargs` is vLLM's and llama.cpp's; as there, how much a model is to reason is a
  /// variable of the template too, and "none" switches thinking off where a template can.
  static func templateArguments(
    _ fields: Fields, effort: String?
  ) throws(APIError) -> String? {
    var arguments = JSONObject()
    if let effort {
      arguments.set("reasoning_effort", .string(effort))
      if effort == "none" { arguments.set("enable_thinking", .bool(false)) }
    }
    if let value = fields["chat_template_kwargs"] {
      let given = try Fields(value, at: "chat_template_kwargs")
      for member in given.members { arguments.set(member.key, member.value) }
    }
    return arguments.members.isEmpty ? nil : JSONValue.object(arguments).serialized()
  }

  /// Any 64 bits; a negative number is the one with the same bits.
  private static func seed(_ fields: Fields) throws(APIError) -> UInt64? {
    guard let value = fields["seed"] else { return nil }
    if let seed = value.unsignedValue { return seed }
    // Clients in languages without integers write 5.0.
    guard let seed = value.intValue ?? value.doubleValue.flatMap({ Int(exactly: $0) }) else {
      throw fields.invalid("seed", value, expected: "an integer of 64 bits")
    }
    return UInt64(bitPattern: Int64(seed))
  }
}
