/// A prompt that distinguishes message text from template text.
///
/// Template text may contain special tokens, and `<image>` as a placeholder for an image. Message
/// text is plain text, even if it spells such a token.
package struct PromptText: Sendable, Equatable {
  package private(set) var bytes: [UInt8] = []
  /// Byte ranges of message text: ascending, not adjacent.
  package private(set) var messageRanges: [Range<Int>] = []

  package init() {}

  package init(_ text: String, isMessage: Bool = false) { append(text, isMessage: isMessage) }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
  package var isEmpty: Bool { bytes.isEmpty }

  package mutating func append(_ text: String, isMessage: Bool = false) {
    let start = bytes.count
    bytes += text.utf8
    if isMessage { add(start..<bytes.count) }
  }

  package mutating func append(_ other: PromptText) {
    let start = bytes.count
    bytes += other.bytes
    for range in other.messageRanges { add(range.lowerBound + start..<range.upperBound + start) }
  }

  private mutating func add(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    if let last = messageRanges.last, last.upperBound == range.lowerBound {
      messageRanges[messageRanges.count - 1] = last.lowerBound..<range.upperBound
    } else {
      messageRanges.append(range)
    }
  }

  /// The same text, in which special tokens may occur anywhere. `<image>` in message text stays
  /// text.
  package func parsingSpecial() -> PromptText {
    let mark = Array(ImagePrompt.marker.utf8)
    var result = PromptText()
    result.bytes = bytes
    var rest = messageRanges[...]
    var at = 0
    while at + mark.count <= bytes.count {
      while let first = rest.first, first.upperBound <= at { rest.removeFirst() }
      guard let first = rest.first else { break }
      if bytes[at] == mark[0], bytes[at...].starts(with: mark), first.lowerBound < at + mark.count {
        result.add(at..<at + mark.count)
        at += mark.count
      } else {
        at += 1
      }
    }
    return result
  }

  /// A part of the prompt.
  package subscript(range: Range<Int>) -> PromptText {
    var part = PromptText()
    part.bytes = Array(bytes[range])
    part.messageRanges = messageRanges.clamped(to: range)
    return part
  }

  /// The prompt up to the end of its last message, without what a template writes behind it.
  ///
  /// - Parameter message: the last message. White space around it may be missing, as many templates
  ///   remove it.
  /// - Returns: nil for a prompt that does not end with this message, such as one whose template
  ///   leaves out a part of it.
  package func cut(behind message: String) -> PromptText? {
    guard let last = messageRanges.last else { return nil }
    let isThere = [message, message.trimmingSpaces()].contains { text in
      !text.isEmpty && bytes[last].reversed().starts(with: text.utf8.reversed())
    }
    return isThere ? self[0..<last.upperBound] : nil
  }

  /// Message text with image placeholders, which `text` contains as `<image>`.
  package static func messageWithImages(_ text: String) -> PromptText {
    var prompt = PromptText()
    for (index, chunk) in ImagePrompt.chunks(text).enumerated() {
      if index > 0 { prompt.append(ImagePrompt.marker) }
      prompt.append(chunk, isMessage: true)
    }
    return prompt
  }
}

extension Collection<Range<Int>> {
  /// The intersections with `range`, counted from its start.
  func clamped(to range: Range<Int>) -> [Range<Int>] {
    compactMap { part in
      let inside = part.clamped(to: range)
      guard !inside.isEmpty else { return nil }
      return inside.lowerBound - range.lowerBound..<inside.upperBound - range.lowerBound
    }
  }
}
