import Synchronization
import VLMZ

/// A model's sessions, which callers use in turn.
///
/// Two overlap one's decoding with the other's computing; more would only take memory, as all share
/// the model's threads.
final class SessionPool: Sendable {
  private struct State {
    var free: [Session]
    /// Who waits, in their order.
    var waiting: [(id: UInt64, continuation: CheckedContinuation<Session?, Never>)] = []
    var nextID: UInt64 = 0
    /// Waiters that were cancelled before they could wait.
    var cancelled: Set<UInt64> = []
  }

  private let state: Mutex<State>
  private let limit: Int

  /// - Parameter waiting: callers that may wait.
  init(_ sessions: [Session], waiting limit: Int) {
    state = Mutex(State(free: sessions))
    self.limit = limit
  }

  /// Callers that wait.
  var waitingCount: Int { state.withLock { $0.waiting.count } }

  /// Runs `body` with a session, when it is this caller's turn.
  ///
  /// - Throws: `APIError` where as many wait as may, or when the task is cancelled while it waits; what
  ///   `body` throws.
  func withSession<R: Sendable>(
    _ body: (Session) async throws -> R
  ) async throws -> R {
    let session = try await take()
    defer { give(session) }
    return try await body(session)
  }

  private func take() async throws(APIError) -> Session {
    enum Turn {
      case now(Session)
      case later(UInt64)
      case never
    }
    let turn = state.withLock { state -> Turn in
      if let session = state.free.popLast() { return .now(session) }
      guard state.waiting.count < limit else { return .never }
      state.nextID += 1
      return .later(state.nextID)
    }
    switch turn {
    case .now(let session): return session
    case .never: throw .overloaded(retryAfter: 1)
    case .later(let id):
      guard let session = await wait(id) else { throw .cancelled }
      return session
    }
  }

  private func wait(_ id: UInt64) async -> Session? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let session = state.withLock { state -> Session?? in
          if state.cancelled.remove(id) != nil { return .some(nil) }
          // One may have become free meanwhile.
          if let session = state.free.popLast() { return session }
          state.waiting.append((id, continuation))
          return .none
        }
        if let session { continuation.resume(returning: session) }
      }
    } onCancel: {
      let continuation = state.withLock { state -> CheckedContinuation<Session?, Never>? in
        guard let index = state.waiting.firstIndex(where: { $0.id == id }) else {
          state.cancelled.insert(id)
          return nil
        }
        return state.waiting.remove(at: index).continuation
      }
      continuation?.resume(returning: nil)
    }
  }

  private func give(_ session: Session) {
    let next = state.withLock { state -> CheckedContinuation<Session?, Never>? in
      guard state.waiting.isEmpty else { return state.waiting.removeFirst().continuation }
      state.free.append(session)
      return nil
    }
    next?.resume(returning: session)
  }
}
