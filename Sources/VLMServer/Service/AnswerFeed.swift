import VLMZ

/// Several answers as one sequence of what happens in them.
struct AnswerFeed: Sendable {
  typealias Element = (choice: Int, event: GenerationEvent)

  private let events: AsyncThrowingStream<Element, any Error>

  /// Let go before its end, or failed in one, it cancels all.
  init(_ streams: [GenerationStream]) {
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
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in
        for stream in streams { stream.cancel() }
        task.cancel()
      }
    }
  }

  func makeIterator() -> AsyncThrowingStream<Element, any Error>.Iterator {
    events.makeAsyncIterator()
  }
}
