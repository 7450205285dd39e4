import VLMFoundation

/// Lets one call at a time into something that belongs to one caller, and ends it on request.
///
/// A second call is refused at once: to wait would never end where it is made from the first one's
/// callback.
package final class CallGate: @unchecked Sendable {
  private let lock = Lock()
  /// Of the call that is running.
  private var running: CancellationFlag?

  package init() {}

  /// Ends the call that is running as soon as it can be ended; without one it does nothing.
  package func cancel() { lock.withLock { running?.cancel() } }

  /// Runs `body` if nothing else is running.
  ///
  /// - Parameter flag: what ends this call, beside `cancel`.
  /// - Throws: `.busy`; what `body` throws, as a `VLMZError`.
  package func enter<R>(
    _ flag: CancellationFlag = CancellationFlag(), _ body: (CancellationFlag) throws -> R
  ) throws(VLMZError) -> R {
    let isFree = lock.withLock {
      guard running == nil else { return false }
      running = flag
      return true
    }
    guard isFree else {
      throw VLMZError(
        .busy, "found a call that is still running, expected one call at a time; cancel it first")
    }
    defer { lock.withLock { running = nil } }
    return try VLMZError.wrapping { try body(flag) }
  }
}

extension CancellationFlag {
  /// - Throws: `.cancelled` once it is.
  func check() throws(VLMZError) {
    if isCancelled { throw VLMZError.cancelled }
  }
}
