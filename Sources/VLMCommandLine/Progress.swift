import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// A line of progress on stderr, redrawn in place, only when that is a terminal.
package final class Progress {
  private let title: String
  private let total: Int
  private let unit: Unit
  private let isShown: Bool
  private let start = Progress.now()
  private var lastDrawn = -1.0

  package enum Unit: Sendable { case items, bytes }

  package init(_ title: String, total: Int, unit: Unit, quiet: Bool = false) {
    self.title = title
    self.total = total
    self.unit = unit
    let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
    isShown = !quiet && isatty(STDERR_FILENO) == 1 && !isDumb
  }

  package func update(_ done: Int, detail: String = "") {
    guard isShown else { return }
    let now = Progress.now()
    guard now - lastDrawn > 0.1 else { return }
    lastDrawn = now
    Report.draw("\r\u{1B}[K" + line(done, elapsed: now - start, detail: detail))
  }

  /// "copying 50 %, 500 MB of 1000 MB, 250 MB/s, 3 s left  name".
  ///
  /// - Parameter elapsed: seconds; a rate is told after half of one.
  func line(_ done: Int, elapsed: Double, detail: String = "") -> String {
    let share = total > 0 ? Double(done) / Double(total) : 1
    var text = "\(title) \(Int(share * 100)) %"
    if unit == .bytes { text += ", \(Self.bytes(done)) of \(Self.bytes(total))" }
    if elapsed > 0.5, done > 0 {
      if unit == .bytes { text += ", \(Int(Double(done) / elapsed / 1e6)) MB/s" }
      text += ", \(Int(elapsed / share * (1 - share)) + 1) s left"
    }
    if !detail.isEmpty { text += "  \(detail.prefix(48))" }
    return text
  }

  /// "812 MB", "13.5 GB".
  private static func bytes(_ count: Int) -> String {
    count < 10_000_000_000
      ? "\(count / 1_000_000) MB"
      : "\(count / 1_000_000_000).\(count / 100_000_000 % 10) GB"
  }

  /// Clears the line.
  package func finish() {
    if isShown, lastDrawn >= 0 { Report.draw("\r\u{1B}[K") }
  }

  /// Seconds of a clock that only moves forward.
  package static func now() -> Double {
    MonotonicClock.seconds
  }
}

extension Report {
  static func draw(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
