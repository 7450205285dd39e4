import VLMFoundation
import VLMZ

/// The events of a response's stream, in their order: each has a number, and is written once.
struct ResponseEvents {
  private let json: ResponseJSON
  private var count = 0
  /// Events that nobody has taken yet.
  private var text = ""
  /// Items that are complete.
  private(set) var output: [JSONValue] = []

  /// The message that is being written.
  private struct Message {
    let id = ResponseJSON.identifier("msg_")
    var text = ""
    /// Nil where they are not told.
    var tokens: [GeneratedToken]?
  }
  private var message: Message?

  init(_ json: ResponseJSON) { self.json = json }

  /// What is to be sent next.
  mutating func take() -> String {
    defer { text = "" }
    return text
  }

  private mutating func add(_ type: String, _ members: [(key: String, value: JSONValue)]) {
    var object = JSONObject()
    object.set("type", .string(type))
    object.set("sequence_number", .int(count))
    for (key, value) in members { object.set(key, value) }
    count += 1
    text += ServerSentEvents.event(.object(object), name: type)
  }

  // MARK: - The response

  mutating func begin() {
    let response = json.response(.inProgress)
    add("response.created", [("response", response)])
    add("response.in_progress", [("response", response)])
  }

  /// - Parameter status: `.completed` or `.incomplete`.
  mutating func end(_ status: ResponseJSON.Status, usage: TokenUsage) {
    let response = json.response(status, output: output, usage: usage)
    add("response." + status.rawValue, [("response", response)])
  }

  /// What ends a response that cannot be finished. OpenAI's clients raise the member `error`.
  mutating func fail(_ error: APIError) {
    add(
      "error",
      [
        ("code", error.code.map { .string($0) } ?? .null), ("message", .string(error.message)),
        ("param", error.parameter.map { .string($0) } ?? .null),
        ("error", error.json["error"] ?? .null),
      ])
  }

  // MARK: - Texts

  private var place: (key: String, value: JSONValue) { ("output_index", .int(output.count)) }

  /// - Parameter tellsTokens: whether tokens come with their probabilities.
  mutating func beginMessage(tellsTokens: Bool) {
    var made = Message()
    if tellsTokens { made.tokens = [] }
    message = made
    add(
      "response.output_item.added",
      [place, ("item", ResponseJSON.message(made.id, .inProgress, parts: []))])
    add("response.content_part.added", part(made) + [("part", ResponseJSON.text("", tokens: nil))])
  }

  private func part(_ message: Message) -> [(key: String, value: JSONValue)] {
    [("item_id", .string(message.id)), place, ("content_index", 0)]
  }

  mutating func append(_ said: String, tokens: [GeneratedToken] = []) {
    guard var changed = message else { return }
    changed.text += said
    changed.tokens?.append(contentsOf: tokens)
    message = changed
    let told = changed.tokens == nil ? nil : tokens
    add(
      "response.output_text.delta",
      part(changed) + [
        ("delta", .string(said)), ("logprobs", ResponseJSON.logProbabilities(told)),
      ])
  }

  mutating func endMessage(_ status: ResponseJSON.Status) {
    guard let ended = message else { return }
    let whole = ResponseJSON.text(ended.text, tokens: ended.tokens)
    add(
      "response.output_text.done",
      part(ended) + [
        ("text", .string(ended.text)),
        ("logprobs", ResponseJSON.logProbabilities(ended.tokens)),
      ])
    add("response.content_part.done", part(ended) + [("part", whole)])
    endItem(ResponseJSON.message(ended.id, status, parts: [whole]))
    message = nil
  }

  private mutating func endItem(_ item: JSONValue) {
    add("response.output_item.done", [place, ("item", item)])
    output.append(item)
  }

  // MARK: - Calls

  /// A call, which comes whole.
  mutating func add(_ call: ToolUse.Call, _ status: ResponseJSON.Status) {
    let (id, number) = (ResponseJSON.identifier("fc_"), ResponseJSON.identifier("call_"))
    func item(_ status: ResponseJSON.Status, _ arguments: String) -> JSONValue {
      ResponseJSON.call(id, status, call: number, name: call.name, arguments: arguments)
    }
    add("response.output_item.added", [place, ("item", item(.inProgress, ""))])
    add(
      "response.function_call_arguments.delta",
      [("item_id", .string(id)), place, ("delta", .string(call.arguments))])
    add(
      "response.function_call_arguments.done",
      [
        ("item_id", .string(id)), place, ("name", .string(call.name)),
        ("arguments", .string(call.arguments)),
      ])
    endItem(item(status, call.arguments))
  }
}
