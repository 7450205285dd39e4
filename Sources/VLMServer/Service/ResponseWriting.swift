import VLMFoundation
import VLMZ

/// The answer to `/v1/responses` on its way from the engine to the client.
struct ResponseWriting: Sendable {
  let json: ResponseJSON
  let parameters: AnswerParameters
  let feed: AnswerFeed
  let record: RequestRecord

  private var tellsTokens: Bool { parameters.alternatives != nil }

  /// The response in one piece.
  func whole() async throws -> JSONValue {
    guard
      let answer = try await feed.gathered(count: 1, keepsTokens: tellsTokens).first
    else { throw APIError.cancelled }
    var events = ResponseEvents(json)
    if parameters.tools == nil {
      events.beginMessage(tellsTokens: tellsTokens)
      events.append(answer.text, tokens: answer.tokens)
    }
    let (status, usage) = try end(answer.end, text: answer.text, tokens: answer.tokens, &events)
    return json.response(status, output: events.output, usage: usage)
  }

  /// Writes what an answer ends with.
  ///
  /// - Parameters:
  ///   - text: the whole answer, which is looked at only where it may have calls.
  ///   - tokens: the same.
  private func end(
    _ end: GenerationEnd, text: String, tokens: [GeneratedToken], _ events: inout ResponseEvents
  ) throws -> (ResponseJSON.Status, TokenUsage) {
    let status: ResponseJSON.Status =
      try AnswerWriting.reason(end) == "length" ? .incomplete : .completed
    let reply = parameters.tools?.reply(text)
    if let reply, reply.calls.isEmpty || !reply.content.isEmpty {
      events.beginMessage(tellsTokens: tellsTokens)
      events.append(reply.content, tokens: tokens)
    }
    events.endMessage(status)
    for (index, call) in (reply?.calls ?? []).enumerated() {
      let isCut = (reply?.isCut ?? false) && index == (reply?.calls.count ?? 0) - 1
      events.add(call, isCut ? .incomplete : .completed)
    }
    var usage = UsageSum(choicesPerPrompt: 1)
    usage.add(end, 0)
    usage.tell(record)
    return (status, usage.total)
  }

  // MARK: - Streams

  /// Writes the events.
  ///
  /// - Returns: whether the client has all of them.
  func write(_ begun: AnswerFeed.Begun, to writer: any PieceWriter) async -> Bool {
    var events = ResponseEvents(json)
    do {
      try await write(begun, &events, to: writer)
      return true
    } catch {
      // The status is sent already; clients raise what such an event says.
      let error = APIError(error)
      record.set { $0.error = error.message }
      events.fail(error)
      _ = writer.write(events.take())
      return error != .cancelled
    }
  }

  private func write(
    _ begun: AnswerFeed.Begun, _ events: inout ResponseEvents, to writer: any PieceWriter
  ) async throws {
    let (tools, tells) = (parameters.tools, tellsTokens)
    events.begin()
    if tools == nil { events.beginMessage(tellsTokens: tells) }
    // With tools, what an answer is shows at its end.
    var (text, tokens): (String, [GeneratedToken]) = ("", [])
    var isEnded = false
    var iterator = begun.iterator
    var element = begun.first
    while let (_, event) = element {
      switch event {
      case .began: break
      case .token(let token) where tools != nil:
        text += token.text
        if tells { tokens.append(token) }
      case .token(let token):
        if tells || !token.text.isEmpty { events.append(token.text, tokens: tells ? [token] : []) }
      case .ended(let end):
        if tools == nil, !end.text.isEmpty { events.append(end.text) }
        let (status, usage) = try self.end(end, text: text + end.text, tokens: tokens, &events)
        events.end(status, usage: usage)
        isEnded = true
      }
      let piece = events.take()
      guard piece.isEmpty || writer.write(piece) else { throw APIError.cancelled }
      element = try await iterator.next()
    }
    guard isEnded else { throw APIError.cancelled }
  }
}
