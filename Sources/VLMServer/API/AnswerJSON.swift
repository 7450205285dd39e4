import VLMFoundation
import VLMZ

/// The answers of chats and completions as JSON, whole and in pieces.
struct AnswerJSON: Sendable {
  enum Kind: Sendable {
    case chat
    case completion
  }

  let kind: Kind
  let id: String
  let created: Int
  let model: String
  /// Whether pieces of the stream say `"usage": null`, before the one that has it.
  let tellsUsage: Bool

  init(_ kind: Kind, created: Int, model: String, tellsUsage: Bool) {
    self.kind = kind
    let digits = (0..<24).map { _ in "0123456789abcdef".randomElement() ?? "0" }
    id = (kind == .chat ? "chatcmpl-" : "cmpl-") + String(digits)
    self.created = created
    self.model = model
    self.tellsUsage = tellsUsage
  }

  private func object(_ type: String, _ choices: [JSONValue], usage: JSONValue?) -> JSONValue {
    var object = JSONObject()
    object.set("id", .string(id))
    object.set("object", .string(type))
    object.set("created", .int(created))
    object.set("model", .string(model))
    object.set("system_fingerprint", .string("vlmz-" + productVersion))
    object.set("choices", .array(choices))
    if let usage { object.set("usage", usage) }
    return .object(object)
  }

  // MARK: - Whole

  func whole(_ choices: [JSONValue], usage: TokenUsage) -> JSONValue {
    object(kind == .chat ? "chat.completion" : "text_completion", choices, usage: usage.json)
  }

  func choice(
    _ index: Int, text: String, calls: [ToolUse.Call] = [], tokens: [GeneratedToken]?,
    reason: String
  ) -> JSONValue {
    var object = JSONObject()
    object.set("index", .int(index))
    switch kind {
    case .chat:
      var message = JSONObject()
      message.set("role", "assistant")
      message.set("content", calls.isEmpty || !text.isEmpty ? .string(text) : .null)
      message.set("refusal", .null)
      if !calls.isEmpty { message.set("tool_calls", .array(calls.map { .object(Self.call($0)) })) }
      object.set("message", .object(message))
      object.set("logprobs", tokens.map { TokenJSON.chat($0) } ?? .null)
    case .completion:
      object.set("text", .string(text))
      object.set("logprobs", tokens.map { TokenJSON.completion($0, offset: 0) } ?? .null)
    }
    object.set("finish_reason", .string(reason))
    return .object(object)
  }

  // MARK: - In pieces

  private func piece(_ choices: [JSONValue], usage: JSONValue? = nil) -> JSONValue {
    object(
      kind == .chat ? "chat.completion.chunk" : "text_completion", choices,
      usage: usage ?? (tellsUsage ? .null : nil))
  }

  /// What begins an answer; nil where nothing does.
  func first(_ index: Int) -> JSONValue? {
    guard kind == .chat else { return nil }
    return piece([delta(index, ["role": "assistant", "content": "", "refusal": .null])])
  }

  /// The next text, with its tokens where they are told.
  ///
  /// - Parameter offset: characters of the answer before it.
  func next(_ index: Int, text: String, tokens: [GeneratedToken]?, offset: Int) -> JSONValue {
    switch kind {
    case .chat:
      piece([
        delta(index, ["content": .string(text)], logprobs: tokens.map { TokenJSON.chat($0) })
      ])
    case .completion:
      piece([
        completion(
          index, text: text, logprobs: tokens.map { TokenJSON.completion($0, offset: offset) },
          reason: nil)
      ])
    }
  }

  /// Calls, which come whole.
  func calls(_ index: Int, _ calls: [ToolUse.Call]) -> JSONValue {
    let values = calls.enumerated().map { place, call -> JSONValue in
      var object = JSONObject()
      object.set("index", .int(place))
      for member in Self.call(call).members { object.set(member.key, member.value) }
      return .object(object)
    }
    return piece([delta(index, ["tool_calls": .array(values)])])
  }

  private static func call(_ call: ToolUse.Call) -> JSONObject {
    let digits = (0..<24).map { _ in "0123456789abcdef".randomElement() ?? "0" }
    var object = JSONObject()
    object.set("id", .string("call_" + String(digits)))
    object.set("type", "function")
    object.set("function", ["name": .string(call.name), "arguments": .string(call.arguments)])
    return object
  }

  func last(_ index: Int, reason: String) -> JSONValue {
    switch kind {
    case .chat: piece([delta(index, [:], reason: reason)])
    case .completion: piece([completion(index, text: "", logprobs: nil, reason: reason)])
    }
  }

  /// What follows the last text where it is asked for.
  func usage(_ usage: TokenUsage) -> JSONValue { piece([], usage: usage.json) }

  private func delta(
    _ index: Int, _ delta: JSONValue, logprobs: JSONValue? = nil, reason: String? = nil
  ) -> JSONValue {
    [
      "index": .int(index), "delta": delta, "logprobs": logprobs ?? .null,
      "finish_reason": reason.map { .string($0) } ?? .null,
    ]
  }

  private func completion(
    _ index: Int, text: String, logprobs: JSONValue?, reason: String?
  ) -> JSONValue {
    [
      "index": .int(index), "text": .string(text), "logprobs": logprobs ?? .null,
      "finish_reason": reason.map { .string($0) } ?? .null,
    ]
  }
}

/// Tokens of a request and of its answers.
struct TokenUsage: Sendable, Equatable {
  var prompt = 0
  /// Positions of the prompt that had been computed before.
  var cached = 0
  var answer = 0

  var json: JSONValue {
    [
      "prompt_tokens": .int(prompt), "completion_tokens": .int(answer),
      "total_tokens": .int(prompt + answer),
      "prompt_tokens_details": ["cached_tokens": .int(cached)],
    ]
  }
}

/// Tokens with their probabilities.
enum TokenJSON {
  static func chat(_ tokens: [GeneratedToken]) -> JSONValue {
    [
      "content": .array(
        tokens.map { token in
          guard var object = token.probability.map({ entry($0) }) else { return .null }
          object.set("top_logprobs", .array(token.alternatives.map { .object(entry($0)) }))
          return .object(object)
        }), "refusal": .null,
    ]
  }

  /// - Parameter offset: characters of the answer before these tokens.
  static func completion(_ tokens: [GeneratedToken], offset: Int) -> JSONValue {
    var (texts, values, offsets): ([JSONValue], [JSONValue], [JSONValue]) = ([], [], [])
    var tops: [JSONValue] = []
    var offset = offset
    for token in tokens {
      texts.append(.string(token.probability.map { plainText($0.bytes) } ?? token.text))
      values.append(token.probability.map { .double($0.logarithm) } ?? .null)
      var top = JSONObject()
      for other in token.alternatives { top.set(plainText(other.bytes), .double(other.logarithm)) }
      tops.append(.object(top))
      offsets.append(.int(offset))
      offset += token.text.unicodeScalars.count
    }
    return [
      "tokens": .array(texts), "token_logprobs": .array(values), "top_logprobs": .array(tops),
      "text_offset": .array(offsets),
    ]
  }

  private static func entry(_ token: TokenProbability) -> JSONObject {
    var object = JSONObject()
    object.set("token", .string(text(token)))
    object.set("logprob", .double(token.logarithm))
    object.set("bytes", .array(token.bytes.map { .int(Int($0)) }))
    return object
  }

  /// A token's text; of one that is no whole characters its bytes, as OpenAI's older interface writes
  /// them, which has no other place for them: `bytes:\xe2\x96`.
  static func plainText(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return bytes.reduce(into: "bytes:") { text, byte in
      let isPlain = (0x20..<0x7f).contains(byte) && byte != UInt8(ascii: "\\")
      let digits = String(byte, radix: 16)
      text += isPlain ? String(UnicodeScalar(byte)) : (byte < 16 ? "\\x0" : "\\x") + digits
    }
  }

  /// A token's text; bytes that are no whole characters are replaced, and stand in `bytes`.
  private static func text(_ token: TokenProbability) -> String {
    String(decoding: token.bytes, as: UTF8.self)
  }
}
