#if canImport(Glibc)
  import Glibc
#endif

/// The clock that only moves forward. `ContinuousClock` does the same, but lies in the module of
/// Swift's tasks, which programs without tasks need not link.
package enum MonotonicClock {
  /// Seconds from a moment that stays the same until the machine is started anew.
  package static var seconds: Double {
    let time = now
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The same in whole nanoseconds.
  package static var nanoseconds: Int {
    let time = now
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  private static var now: timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time
  }
}
