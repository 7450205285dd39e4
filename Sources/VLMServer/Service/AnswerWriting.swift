import VLMFoundation
import VLMZ

/// One request's answers on their way from the engine to the client.
struct AnswerWriting: Sendable {
  typealias Iterator = AsyncThrowingStream<AnswerFeed.Element, any Error>.Iterator

  let json: AnswerJSON
  let parameters: AnswerParameters
  let promptCount: Int
  let feed: AnswerFeed
  let record: RequestRecord

  private struct Choice {
    var text = ""
    var tokens: [GeneratedToken] = []
    var end: GenerationEnd?
  }

  /// The answer in one piece.
  func whole() async throws -> JSONValue {
    var choices = [Choice](repeating: Choice(), count: promptCount * parameters.count)
    var iterator = feed.makeIterator()
    while let (index, event) = try await iterator.next() {
      switch event {
      case .began: break
      case .token(let token):
        choices[index].text += token.text
        if parameters.alternatives != nil { choices[index].tokens.append(token) }
      case .ended(let end):
        choices[index].text += end.text
        choices[index].end = end
      }
    }
    var usage = UsageSum(choicesPerPrompt: parameters.count)
    var values: [JSONValue] = []
    for (index, choice) in choices.enumerated() {
      guard let end = choice.end else { throw APIError.cancelled }
      usage.add(end, index)
      let reason = try Self.reason(end)
      let reply = parameters.tools?.reply(choice.text)
      values.append(
        json.choice(
          index, text: reply?.content ?? choice.text, calls: reply?.calls ?? [],
          tokens: parameters.alternatives == nil ? nil : choice.tokens,
          reason: reply?.calls.isEmpty ?? true ? reason : "tool_calls"))
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

  /// A stream whose first prompt was accepted.
  struct Begun: @unchecked Sendable {
    // The iterator belongs to whoever writes the stream, once.
    fileprivate let writing: AnswerWriting
    fileprivate let iterator: Iterator
    fileprivate let first: AnswerFeed.Element?
  }

  /// - Throws: what refused the prompt.
  func begin() async throws -> Begun {
    var iterator = feed.makeIterator()
    let first = try await iterator.next()
    return Begun(writing: self, iterator: iterator, first: first)
  }
}

extension AnswerWriting.Begun {
  /// Writes the events.
  ///
  /// - Returns: whether the client has all of them.
  func write(to writer: any PieceWriter) async -> Bool {
    do {
      return try await writeEvents(writer)
    } catch {
      // The status is sent already; clients raise what such an event says.
      let error = APIError(error)
      writing.record.set { $0.error = error.message }
      _ = writer.write(ServerSentEvents.event(error.json))
      return error != .cancelled
    }
  }

  private func writeEvents(_ writer: any PieceWriter) async throws -> Bool {
    let (json, parameters) = (writing.json, writing.parameters)
    func send(_ value: JSONValue?) throws {
      guard let value else { return }
      guard writer.write(ServerSentEvents.event(value)) else { throw APIError.cancelled }
    }
    let count = writing.promptCount * parameters.count
    for index in 0..<count { try send(json.first(index)) }
    var usage = UsageSum(choicesPerPrompt: parameters.count)
    var lengths = [Int](repeating: 0, count: count)
    // With tools, what an answer is shows at its end.
    var texts = [String](repeating: "", count: count)
    var ended = 0
    var iterator = iterator
    var element = first
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
        var (text, reason) = (end.text, try AnswerWriting.reason(end))
        let reply = parameters.tools?.reply(texts[index] + end.text)
        if let reply { text = reply.content }
        if !text.isEmpty {
          try send(json.next(index, text: text, tokens: nil, offset: lengths[index]))
        }
        if let calls = reply?.calls, !calls.isEmpty {
          try send(json.calls(index, calls))
          reason = "tool_calls"
        }
        usage.add(end, index)
        usage.tell(writing.record)
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
