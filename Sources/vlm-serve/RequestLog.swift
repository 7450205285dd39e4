import VLMCommandLine
import VLMFoundation
import VLMServer

#if canImport(Glibc)
  import Glibc
#endif

/// A line on standard error for each request.
struct RequestLog: Sendable {
  enum Form: Sendable {
    case none
    case text
    case json
  }

  let form: Form

  func write(_ exchange: Exchange, outcome: String) {
    guard form != .none else { return }
    let line = LogLine(
      time: Self.now(), peer: exchange.peer, method: exchange.head.method,
      path: exchange.head.path, status: exchange.status, outcome: outcome,
      sentBytes: exchange.sentBytes, seconds: exchange.seconds, content: exchange.record.content)
    Report.note(form == .json ? line.json.serialized() : line.text)
  }

  /// "2026-01-31T12:34:56.789Z".
  private static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    gmtime_r(&time.tv_sec, &parts)
    var text = [CChar](repeating: 0, count: 32)
    strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
    let milliseconds = "\(1000 + time.tv_nsec / 1_000_000)".dropFirst()
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      + ".\(milliseconds)Z"
  }
}
