/// Ends a text where one of some strings begins, though the text comes in pieces.
///
/// What may be the beginning of a stop string is held back until the next piece tells.
package struct StopStrings: Sendable {
  private let stops: [[UInt8]]
  private var held: [UInt8] = []
  /// Whether a stop string came.
  package private(set) var isStopped = false

  /// - Parameter stops: empty ones are ignored.
  package init(_ stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
  }

  /// What can be shown, now that `piece` followed.
  package mutating func push(_ piece: String) -> String {
    guard !isStopped else { return "" }
    guard !stops.isEmpty else { return piece }
    held.append(contentsOf: piece.utf8)
    var end = held.count
    for stop in stops {
      if let start = Self.place(of: stop, in: held) {
        isStopped = true
        end = min(end, start)
      }
    }
    if isStopped {
      defer { held = [] }
      return String(decoding: held[..<end], as: UTF8.self)
    }
    // The longest end of the text that a stop string begins with.
    let longest = stops.map { Self.overlap($0, held) }.max() ?? 0
    let shown = held.count - longest
    defer { held.removeFirst(shown) }
    return String(decoding: held[..<shown], as: UTF8.self)
  }

  /// What was held back when no more pieces come.
  package mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  private static func place(of stop: [UInt8], in text: [UInt8]) -> Int? {
    guard stop.count <= text.count else { return nil }
    return (0...(text.count - stop.count)).first {
      text[$0..<($0 + stop.count)].elementsEqual(stop)
    }
  }

  /// Bytes at the end of `text` that are a beginning of `stop`, at most all but one of it.
  private static func overlap(_ stop: [UInt8], _ text: [UInt8]) -> Int {
    let most = min(stop.count - 1, text.count)
    return (0...most).reversed().first { text.suffix($0).elementsEqual(stop.prefix($0)) } ?? 0
  }
}
