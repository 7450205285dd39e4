import VLMFoundation

/// The monotonic clock.
enum Clock {
  static var now: Double { MonotonicClock.seconds }

  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let begin = now
    try body()
    return now - begin
  }
}
