import VLMFoundation

/// Runs what takes long on a thread of its own, so that no task waits for it.
package enum Background {
  /// - Parameters:
  ///   - flag: set when the task that waits is cancelled.
  /// - Throws: what `body` throws; `.noMemory` when no thread can be had.
  package static func run<R: Sendable>(
    _ flag: CancellationFlag, _ body: @escaping @Sendable () throws -> R
  ) async throws(VLMZError) -> R {
    let result: Result<R, any Error> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        start {
          continuation.resume(returning: Result { try body() })
        } failed: {
          continuation.resume(returning: .failure(noThread))
        }
      }
    } onCancel: {
      flag.cancel()
    }
    return try VLMZError.wrapping { try result.get() }
  }

  /// What `body` returns, which no cancellation of the waiting task ends.
  ///
  /// - Throws: `.noMemory` when no thread can be had.
  package static func result<R: Sendable>(
    _ body: @escaping @Sendable () -> R
  ) async throws(VLMZError) -> R {
    try await run(CancellationFlag(), body)
  }

  /// What a call throws that found no thread.
  package static let noThread = VLMZError(.noMemory, "found no thread to run on")

  /// Runs `body` on a thread of its own, or else `failed` on this one.
  package static func start(_ body: @escaping @Sendable () -> Void, failed: () -> Void) {
    guard let thread = WorkThread(body) else { return failed() }
    thread.detach()
  }
}
