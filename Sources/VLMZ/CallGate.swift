import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// POSIX's mutex, whose order ThreadSanitizer knows.
final class Lock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() { pthread_mutex_init(mutex, nil) }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func withLock<R>(_ body: () throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }
}

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
    if isCancelled { throw VLMZError(.cancelled, "cancelled before there was a result") }
  }
}

/// Runs what takes long on a thread of its own, so that no task waits for it.
package enum Background {
  private final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

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

  /// What a call throws that found no thread.
  package static let noThread = VLMZError(.noMemory, "found no thread to run on")

  /// Runs `body` on a thread of its own, or else `failed` on this one.
  package static func start(_ body: @escaping @Sendable () -> Void, failed: () -> Void) {
    let box = Unmanaged.passRetained(Work(body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    guard code != 0 else { return }
    box.release()
    failed()
  }
}
