import VLMFoundation
import VLMZ

/// The body of `/v1/completions`: texts that go on.
package struct CompletionRequest: Sendable {
  package let prompts: [GenerationRequest.Prompt]
  package let parameters: AnswerParameters

  private static let known = AnswerParameters.known.union(["prompt", "logprobs"])
  /// What would change the answer and is not followed, with the values that ask for nothing.
  private static let neutral: [String: [JSONValue]] = [
    "echo": [false], "best_of": [1], "suffix": [""],
  ]

  /// - Throws: `APIError` naming the parameter that is wrong or cannot be followed.
  package init(
    _ body: JSONValue, limits: ServerLimits, randomSeed: () -> UInt64 = { .random(in: 0 ... .max) }
  ) throws(APIError) {
    let fields = try Fields(body, at: "")
    try fields.refuseOthers(
      known: Self.known, ignored: AnswerParameters.ignored, neutral: Self.neutral)
    prompts = try Self.prompts(fields, limits: limits)
    // The default of this endpoint since its first version.
    let tokens = try fields.integer("max_tokens", 1...Int.max) ?? 16
    parameters = try AnswerParameters(
      fields, maximumTokens: tokens, alternatives: try fields.integer("logprobs", 0...20),
      limits: limits, randomSeed: randomSeed)
    guard prompts.count * parameters.count <= limits.choices else {
      throw .invalid(
        "n", found: "\(prompts.count * parameters.count) answers",
        expected: "at most \(limits.choices)")
    }
  }

  /// A text, ids, or several of either.
  private static func prompts(
    _ fields: Fields, limits: ServerLimits
  ) throws(APIError) -> [GenerationRequest.Prompt] {
    guard let value = fields["prompt"] else {
      throw .invalid("prompt", found: "none", expected: "a string or an array")
    }
    if let text = value.stringValue { return [.text(text)] }
    guard let elements = value.arrayValue, let first = elements.first else {
      throw fields.invalid("prompt", value, expected: "a string or an array that is not empty")
    }
    if first.intValue != nil { return [.tokens(try ids(elements))] }
    guard elements.count <= limits.choices else {
      throw .invalid(
        "prompt", found: "\(elements.count) prompts", expected: "at most \(limits.choices)")
    }
    var prompts: [GenerationRequest.Prompt] = []
    for element in elements {
      if let text = element.stringValue {
        prompts.append(.text(text))
      } else if let inner = element.arrayValue {
        prompts.append(.tokens(try ids(inner)))
      } else {
        throw fields.invalid("prompt", element, expected: "strings, or arrays of token ids")
      }
    }
    return prompts
  }

  private static func ids(_ elements: [JSONValue]) throws(APIError) -> [Int] {
    var ids: [Int] = []
    ids.reserveCapacity(elements.count)
    for element in elements {
      guard let id = element.intValue, id >= 0 else {
        throw .invalid("prompt", found: Fields.shown(element), expected: "ids of tokens")
      }
      ids.append(id)
    }
    return ids
  }
}
