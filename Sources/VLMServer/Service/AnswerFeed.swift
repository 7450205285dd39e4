import VLMZ

/// Several answers as one sequence of what happens in them.
struct AnswerFeed: Sendable {
  typealias Element = (choice: Int, event: GenerationEvent)

  private let events: AsyncThrowingStream<Element, any Error>

  /// Let go before its end, or failed in one, it cancels all.
  ///
  /// - Parameter shown: makes of an error what a client may see.
  init(
    _ streams: [GenerationStream], shown: @escaping @Sendable (any Error) -> APIError
  ) {
    events = AsyncThrowingStream { continuation in
      let task = Task {
        do {
          try await withThrowingTaskGroup(of: Void.self) { group in
            for (choice, stream) in streams.enumerated() {
              group.addTask {
                for try await event in stream { continuation.yield((choice, event)) }
              }
            }
            try await group.waitForAll()
          }
          continuation.finish()
        } catch {
          continuation.finish(throwing: shown(error))
        }
      }
      continuation.onTermination = { _ in
        for stream in streams { stream.cancel() }
        task.cancel()
      }
    }
  }

  typealias Iterator = AsyncThrowingStream<Element, any Error>.Iterator

  func makeIterator() -> Iterator { events.makeAsyncIterator() }

  /// A feed of which the first event has come: the first prompt was accepted.
  struct Begun: @unchecked Sendable {
    // The iterator belongs to whoever writes the stream, once.
    let iterator: Iterator
    let first: Element?
  }

  /// Waits for the first event.
  ///
  /// - Throws: what refused the prompt.
  func begin() async throws -> Begun {
    var iterator = makeIterator()
    let first = try await iterator.next()
    return Begun(iterator: iterator, first: first)
  }

  /// One of the answers, complete.
  struct Gathered: Sendable {
    let text: String
    /// Empty unless they are kept.
    let tokens: [GeneratedToken]
    let end: GenerationEnd
  }

  /// All answers, once they have ended.
  ///
  /// - Parameter count: how many there are.
  /// - Throws: what ends one of them before its end.
  func gathered(count: Int, keepsTokens: Bool) async throws -> [Gathered] {
    var texts = [String](repeating: "", count: count)
    var tokens = [[GeneratedToken]](repeating: [], count: count)
    var ends = [GenerationEnd?](repeating: nil, count: count)
    var iterator = makeIterator()
    while let (index, event) = try await iterator.next() {
      switch event {
      case .began: break
      case .token(let token):
        texts[index] += token.text
        if keepsTokens { tokens[index].append(token) }
      case .ended(let end):
        texts[index] += end.text
        ends[index] = end
      }
    }
    return try ends.enumerated().map { index, end in
      guard let end else { throw APIError.cancelled }
      return Gathered(text: texts[index], tokens: tokens[index], end: end)
    }
  }
}
