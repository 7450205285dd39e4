import Synchronization
import VLMFoundation

/// What is told of a request in the log, gathered while it is answered.
package final class RequestRecord: Sendable {
  package struct Content: Sendable, Equatable {
    /// Who takes turns with others: a caller's key by its number, or else its address. No part of the
    /// log's line.
    package var client = ""
    package var model: String?
    package var promptTokens: Int?
    package var cachedTokens: Int?
    package var answerTokens: Int?
    /// Why it was not answered.
    package var error: String?

    package init() {}
  }

  private let state = Mutex(Content())

  package init() {}

  package var content: Content { state.withLock { $0 } }
  package func set(_ change: (inout Content) -> Void) { state.withLock { change(&$0) } }
}

/// One line for each request.
package struct LogLine: Sendable {
  package var time: String
  package var peer: String
  package var method: String
  package var path: String
  package var status: Int
  /// "answered", "client gone", "timed out", "stopped".
  package var outcome: String
  package var sentBytes: UInt64
  package var seconds: Double
  package var content: RequestRecord.Content

  package init(
    time: String, peer: String, method: String, path: String, status: Int, outcome: String,
    sentBytes: UInt64, seconds: Double, content: RequestRecord.Content
  ) {
    self.time = time
    self.peer = peer
    self.method = method
    self.path = path
    self.status = status
    self.outcome = outcome
    self.sentBytes = sentBytes
    self.seconds = seconds
    self.content = content
  }

  /// Nothing that a client sends can begin a line of its own.
  package var text: String {
    let (method, path) = (method.escapedForDisplay(limit: 20), path.escapedForDisplay(limit: 200))
    var text = "\(time) \(peer) \(method) \(path) "
    text += status > 0 ? "\(status)" : "-"
    text += " \(sentBytes) B \(Int((seconds * 1000).rounded())) ms"
    if outcome != "answered" { text += ", \(outcome)" }
    if let model = content.model { text += ", \(model.escapedForDisplay(limit: 60))" }
    if let tokens = content.promptTokens {
      text += ", prompt \(tokens)"
      if let cached = content.cachedTokens, cached > 0 { text += " (\(cached) cached)" }
    }
    if let tokens = content.answerTokens { text += ", answer \(tokens)" }
    if let error = content.error { text += ": \(error.escapedForDisplay(limit: 300))" }
    return text
  }

  package var json: JSONValue {
    var object = JSONObject()
    object.set("time", .string(time))
    object.set("peer", .string(peer))
    object.set("method", .string(method))
    object.set("path", .string(path))
    object.set("status", status > 0 ? .int(status) : .null)
    object.set("outcome", .string(outcome))
    object.set("bytes", .int(Int(clamping: sentBytes)))
    object.set("seconds", .double((seconds * 1e6).rounded() / 1e6))
    if let model = content.model { object.set("model", .string(model)) }
    if let tokens = content.promptTokens { object.set("prompt_tokens", .int(tokens)) }
    if let tokens = content.cachedTokens { object.set("cached_tokens", .int(tokens)) }
    if let tokens = content.answerTokens { object.set("answer_tokens", .int(tokens)) }
    if let error = content.error { object.set("error", .string(error)) }
    return .object(object)
  }
}
