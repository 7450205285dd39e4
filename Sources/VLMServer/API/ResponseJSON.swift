import VLMFoundation
import VLMZ

/// The objects of `/v1/responses`: the response, and the items of its output.
struct ResponseJSON: Sendable {
  let id = identifier("resp_")
  /// Seconds since 1970.
  let created: Int
  let model: String
  /// What is repeated of the request.
  let request: JSONObject

  /// What has become of a response, or of one of its items.
  enum Status: String {
    case inProgress = "in_progress"
    case completed
    /// Ended by the limit of its tokens.
    case incomplete
    case failed
  }

  static func identifier(_ prefix: String) -> String {
    prefix + String((0..<24).map { _ in "0123456789abcdef".randomElement() ?? "0" })
  }

  /// - Parameters:
  ///   - usage: nil before the end.
  ///   - error: why it failed; nil otherwise.
  func response(
    _ status: Status, output: [JSONValue] = [], usage: TokenUsage? = nil, error: APIError? = nil
  ) -> JSONValue {
    var object = JSONObject()
    object.set("id", .string(id))
    object.set("object", "response")
    object.set("created_at", .int(created))
    object.set("status", .string(status.rawValue))
    object.set("background", false)
    object.set(
      "error",
      error.map { ["code": .string($0.code ?? "server_error"), "message": .string($0.message)] }
        ?? .null)
    object.set(
      "incomplete_details", status == .incomplete ? ["reason": "max_output_tokens"] : .null)
    object.set("model", .string(model))
    object.set("output", .array(output))
    for member in request.members { object.set(member.key, member.value) }
    object.set("store", false)
    object.set("usage", usage.map { Self.usage($0) } ?? .null)
    return .object(object)
  }

  private static func usage(_ usage: TokenUsage) -> JSONValue {
    [
      "input_tokens": .int(usage.prompt),
      "input_tokens_details": ["cached_tokens": .int(usage.cached)],
      "output_tokens": .int(usage.answer), "output_tokens_details": ["reasoning_tokens": 0],
      "total_tokens": .int(usage.prompt + usage.answer),
    ]
  }

  // MARK: - Items

  /// - Parameter parts: none before the first.
  static func message(_ id: String, _ status: Status, parts: [JSONValue]) -> JSONValue {
    [
      "id": .string(id), "type": "message", "status": .string(status.rawValue),
      "role": "assistant", "content": .array(parts),
    ]
  }

  /// - Parameter tokens: with their probabilities; nil where they are not told.
  static func text(_ text: String, tokens: [GeneratedToken]?) -> JSONValue {
    [
      "type": "output_text", "text": .string(text), "annotations": [],
      "logprobs": logProbabilities(tokens),
    ]
  }

  static func logProbabilities(_ tokens: [GeneratedToken]?) -> JSONValue {
    tokens.flatMap { TokenJSON.chat($0)["content"] } ?? []
  }

  /// - Parameters:
  ///   - id: the item's.
  ///   - call: by which its result is found.
  static func call(
    _ id: String, _ status: Status, call: String, name: String, arguments: String
  ) -> JSONValue {
    [
      "id": .string(id), "type": "function_call", "status": .string(status.rawValue),
      "call_id": .string(call), "name": .string(name), "arguments": .string(arguments),
    ]
  }
}
