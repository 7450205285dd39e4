import Synchronization
import VLMZ

/// Things that callers use in turn, such as a model's sessions: one caller of each client after another.
final class FairPool<Resource: Sendable>: Sendable {
  private enum Turn {
    case now(Resource)
    case tooMany
    case cancelled
  }

  /// One that waits. Guarded by the pool's lock.
  private final class Waiter: @unchecked Sendable {
    var continuation: CheckedContinuation<Turn, Never>?
    var isCancelled = false
  }

  private struct State {
    var free: [Resource]
    var waiting = FairQueue<Waiter>()
  }

  private let state: Mutex<State>
  private let limit: Int

  /// - Parameter waiting: callers that may wait.
  init(_ resources: [Resource], waiting limit: Int) {
    state = Mutex(State(free: resources))
    self.limit = limit
  }

  /// Callers that wait.
  var waitingCount: Int { state.withLock { $0.waiting.count } }

  /// Runs `body` with a resource, when it is this caller's turn.
  ///
  /// - Parameter client: who takes turns with the others.
  /// - Throws: `APIError` where as many wait as may, or when the task is cancelled while it waits; what
  ///   `body` throws.
  func withResource<R: Sendable>(
    for client: String, _ body: (Resource) async throws -> R
  ) async throws -> R {
    let resource = try await take(client)
    defer { give(resource) }
    return try await body(resource)
  }

  private func take(_ client: String) async throws(APIError) -> Resource {
    let waiter = Waiter()
    let turn = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let turn = state.withLock { state -> Turn? in
          if waiter.isCancelled { return .cancelled }
          if let resource = state.free.popLast() { return .now(resource) }
          guard state.waiting.count < limit else { return .tooMany }
          waiter.continuation = continuation
          state.waiting.append(waiter, client: client)
          return nil
        }
        if let turn { continuation.resume(returning: turn) }
      }
    } onCancel: {
      let continuation = state.withLock { state -> CheckedContinuation<Turn, Never>? in
        waiter.isCancelled = true
        let removed = state.waiting.removeAll { $0 === waiter ? true : nil }
        return removed.first?.element.continuation
      }
      continuation?.resume(returning: .cancelled)
    }
    switch turn {
    case .now(let resource): return resource
    case .tooMany: throw .overloaded(retryAfter: 1)
    case .cancelled: throw .cancelled
    }
  }

  private func give(_ resource: Resource) {
    let next = state.withLock { state -> CheckedContinuation<Turn, Never>? in
      if let waiter = state.waiting.popFirst() { return waiter.continuation }
      state.free.append(resource)
      return nil
    }
    next?.resume(returning: .now(resource))
  }
}
