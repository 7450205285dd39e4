import VLMFoundation
import VLMZ

/// How an answer is made: what requests for chats and for completions have in common.
package struct AnswerParameters: Sendable {
  package var options: AnswerOptions
  /// Answers to each prompt.
  package var count: Int
  package var isStreamed: Bool
  /// Whether the last piece of a stream says how many tokens there were.
  package var tellsUsage: Bool
  /// Alternatives to each token that are told; nil for no probabilities.
  package var alternatives: Int?

  static let known: Set<String> = [
    "model", "stream", "stream_options", "stop", "seed", "temperature", "top_p", "top_k", "min_p",
    "repetition_penalty", "repeat_penalty", "max_tokens", "n",
  ]

  /// What does not change the answer.
  static let ignored: Set<String> = [
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "parallel_tool_calls", "prediction",
  ]

  /// What would change it, with the values that ask for nothing.
  static let neutral: [String: [JSONValue]] = [
    "frequency_penalty": [0], "presence_penalty": [0], "logit_bias": [[:]],
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
    let penalty = try fields.number("repetition_penalty", 0.01...100)
    options = AnswerOptions(
      maximumTokens: min(maximumTokens ?? limits.answerTokens, limits.answerTokens),
      temperature: try fields.number("temperature", 0...2),
      topK: try fields.integer("top_k", -1...1_000_000_000).map { max(0, $0) },
      topP: try fields.number("top_p", 0...1), minP: try fields.number("min_p", 0...1),
      repeatPenalty: try fields.number("repeat_penalty", 0.01...100) ?? penalty,
      seed: try Self.seed(fields) ?? randomSeed(), stopStrings: stops)
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
