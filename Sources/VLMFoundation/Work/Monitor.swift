#if canImport(Glibc)
  import Glibc
#endif

/// A lock with a condition that its holders can wait for.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    // Setting the clock lengthens no wait.
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func withLock<R>(_ body: () throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Gives the lock away until `wakeAll` is called, or for no reason; the caller holds it.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// The same for so long at most.
  package func wait(nanoseconds: Int) {
    var end = timespec()
    clock_gettime(CLOCK_MONOTONIC, &end)
    let total = end.tv_nsec + max(0, nanoseconds)
    end.tv_sec += total / 1_000_000_000
    end.tv_nsec = total % 1_000_000_000
    pthread_cond_timedwait(condition, mutex, &end)
  }

  /// Wakes all that wait.
  package func wakeAll() { pthread_cond_broadcast(condition) }
}
