import VLMFoundation
import VLMZ

/// One request's answers on their way from the engine to the client.
struct AnswerWriting: Sendable {
  let json: AnswerJSON
  let parameters: AnswerParameters
  let promptCount: Int
  let feed: AnswerFeed
  let record: RequestRecord

  /// The answer in one piece.
  func whole() async throws -> JSONValue {
    var usage = UsageSum(choicesPerPrompt: parameters.count)
    var values: [JSONValue] = []
    let choices = try await feed.gathered(
      count: promptCount * parameters.count, keepsTokens: parameters.alternatives != nil)
    for (index, choice) in choices.enumerated() {
      usage.add(choice.end, index)
      let reason = try Self.reason(choice.end)
      let reply = parameters.tools?.reply(choice.text)
      values.append(
        json.choice(
          index, text: reply?.content ?? choice.text, calls: reply?.calls ?? [],
          tokens: parameters.alternatives == nil ? nil : choice.tokens,
          reason: reply?.reason(reason) ?? reason))
    }
    usage.tell(record)
    return json.whole(values, usage: usage.total)
  }

  /// Why an answer ended, in the words of the API.
  ///
  /// - Throws: `APIError` for one that is not complete.
  static func reason(_ end: GenerationEnd) throws(APIError) -> String {
    switch end.reason {
    case .stop: return "stop"
    case .length: return "length"
    case .deadline: throw .deadline
    case .cancelled: throw .stopping
    }
  }

  // MARK: - Streams

  /// Writes the events.
  ///
  /// - Returns: whether the client has all of them.
  func write(_ begun: AnswerFeed.Begun, to writer: any PieceWriter) async -> Bool {
    do {
      return try await writeEvents(begun, writer)
    } catch {
      // The status is sent already; clients raise what such an event says.
      let error = APIError(error)
      record.set { $0.error = error.message }
      _ = writer.write(ServerSentEvents.event(error.json))
      return error != .cancelled
    }
  }

  private func writeEvents(
    _ begun: AnswerFeed.Begun, _ writer: any PieceWriter
  ) async throws -> Bool {
    func send(_ value: JSONValue?) throws {
      guard let value else { return }
      guard writer.write(ServerSentEvents.event(value)) else { throw APIError.cancelled }
    }
    let count = promptCount * parameters.count
    for index in 0..<count { try send(json.first(index)) }
    var usage = UsageSum(choicesPerPrompt: parameters.count)
    var lengths = [Int](repeating: 0, count: count)
    // With tools, what an answer is shows at its end.
    var texts = [String](repeating: "", count: count)
    var ended = 0
    var iterator = begun.iterator
    var element = begun.first
    while let (index, event) = element {
      switch event {
      case .began: break
      case .token(let token) where parameters.tools != nil: texts[index] += token.text
      case .token(let token):
        let tells = parameters.alternatives != nil
        if tells || !token.text.isEmpty {
          try send(
            json.next(
              index, text: token.text, tokens: tells ? [token] : nil, offset: lengths[index]))
        }
        lengths[index] += token.text.unicodeScalars.count
      case .ended(let end):
        var (text, reason) = (end.text, try Self.reason(end))
        let reply = parameters.tools?.reply(texts[index] + end.text)
        if let reply { text = reply.content }
        if !text.isEmpty {
          try send(json.next(index, text: text, tokens: nil, offset: lengths[index]))
        }
        if let calls = reply?.calls, !calls.isEmpty {
          try send(json.calls(index, calls))
        }
        reason = reply?.reason(reason) ?? reason
        usage.add(end, index)
        usage.tell(record)
        try send(json.last(index, reason: reason))
        ended += 1
      }
      element = try await iterator.next()
    }
    guard ended == count else { throw APIError.cancelled }
    if parameters.tellsUsage { try send(json.usage(usage.total)) }
    return writer.write(ServerSentEvents.done)
  }
}

/// Tokens over all answers of a request. Answers to one prompt share it, and it counts once.
struct UsageSum: Sendable {
  let choicesPerPrompt: Int
  private(set) var total = TokenUsage()

  init(choicesPerPrompt: Int) { self.choicesPerPrompt = choicesPerPrompt }

  mutating func add(_ end: GenerationEnd, _ index: Int) {
    total.answer += end.completionTokens
    guard index % choicesPerPrompt == 0 else { return }
    total.prompt += end.usage.promptTokens
    total.cached += end.usage.cachedTokens
  }

  func tell(_ record: RequestRecord) {
    record.set {
      $0.promptTokens = total.prompt
      $0.cachedTokens = total.cached
      $0.answerTokens = total.answer
    }
  }
}
