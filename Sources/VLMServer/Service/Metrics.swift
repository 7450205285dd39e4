import Synchronization
import VLMFoundation

/// Counts of requests since the server began.
package final class Metrics: Sendable {
  struct Key: Hashable {
    let route: String
    let status: Int
  }

  struct Content {
    var requests: [Key: Int] = [:]
    var durations: [String: Histogram] = [:]
    /// Requests that are being answered.
    var active = 0
    var clientsGone = 0
    var clientsTooSlow = 0
    var picturesLooked = 0
    var textsLooked = 0
  }

  private let state = Mutex(Content())

  package init() {}

  var content: Content { state.withLock { $0 } }
  func count(_ change: (inout Content) -> Void) { state.withLock { change(&$0) } }

  /// A request began.
  package func begin() { count { $0.active += 1 } }

  /// A request ended.
  ///
  /// - Parameter route: nil for a path that the server does not have, so that no client can make the
  ///   list longer.
  package func end(route: Route?, status: Int, seconds: Double, isGone: Bool, isSlow: Bool) {
    let name = route?.rawValue ?? "other"
    count { content in
      content.active -= 1
      content.requests[Key(route: name, status: status), default: 0] += 1
      content.durations[name, default: Histogram()].add(seconds)
      if isGone { content.clientsGone += 1 }
      if isSlow { content.clientsTooSlow += 1 }
    }
  }
}

/// Counts of durations in seconds, as Prometheus has them.
struct Histogram: Sendable {
  static let bounds: [Double] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
  ]
  private(set) var counts = [Int](repeating: 0, count: bounds.count + 1)
  private(set) var sum = 0.0

  mutating func add(_ seconds: Double) {
    counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
    sum += seconds
  }
}
