/// Reads a stream line by line, with a limit on the length of a line. A byte order mark before the
/// first of them is left out.
package struct LineReader {
  package enum Line: Equatable {
    /// Without its separator.
    case line([UInt8])
    /// One longer than the limit; its bytes are dropped.
    case tooLong
  }

  private let stream: ByteStream
  private let separator: UInt8
  private let limit: Int
  /// Bytes of the buffer that are known to hold no separator.
  private var searched = 0
  private var isAtStart = true

  /// - Parameters:
  ///   - separator: ends a line; a line feed takes a carriage return in front of it along.
  ///   - limit: bytes of a line at most.
  package init(_ stream: ByteStream, separator: UInt8 = 0x0a, limit: Int) {
    self.stream = stream
    self.separator = separator
    self.limit = limit
  }

  /// The next line; nil at the end.
  ///
  /// - Parameter beforeWaiting: called before a read that would block.
  package mutating func next(
    beforeWaiting: () throws -> Void = {}
  ) throws -> Line? {
    defer { isAtStart = false }
    while true {
      let found = stream.firstIndex(of: separator, from: searched)
      if let end = found ?? (stream.available > limit ? stream.available : nil) {
        searched = 0
        guard found != nil, end <= limit else {
          // Reads on to its end, in pieces.
          stream.drop(end)
          return try skip(beforeWaiting)
        }
        return line(end, with: 1)
      }
      searched = stream.available
      if stream.wouldWait { try beforeWaiting() }
      guard try stream.read() else {
        guard stream.available > 0 else { return nil }
        searched = 0
        return line(stream.available, with: 0)
      }
    }
  }

  private func line(_ end: Int, with separators: Int) -> Line {
    var count = end
    if separator == 0x0a, count > 0, separators > 0 {
      count -= stream.withAvailable { $0[count - 1] == 0x0d } ? 1 : 0
    }
    var line = stream.take(count)
    // Names that end with zero bytes are bytes, not a text.
    if isAtStart, separator == 0x0a { ForeignEncoding.dropMark(of: &line) }
    stream.drop(end + separators - count)
    return .line(line)
  }

  /// Drops everything up to the separator, and the separator.
  private func skip(_ beforeWaiting: () throws -> Void) throws -> Line {
    while true {
      let end = stream.firstIndex(of: separator)
      stream.drop(end.map { $0 + 1 } ?? stream.available)
      if end != nil { return .tooLong }
      if stream.wouldWait { try beforeWaiting() }
      guard try stream.read() else { return .tooLong }
    }
  }
}
