#if canImport(Glibc)
  import Glibc
#endif

/// The monotonic clock.
enum Clock {
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let begin = now
    try body()
    return now - begin
  }
}
