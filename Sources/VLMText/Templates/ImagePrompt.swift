/// Prompts that contain images.
package enum ImagePrompt {
  /// The placeholder for an image in text.
  package static let marker = "<image>"
  /// The placeholder for an image among token ids; `Splice` replaces it by visual tokens.
  package static let sentinel = -200

  /// How the text around an image is tokenized.
  package enum Tokenization: Sendable {
    /// Each part between images is encoded as a separate text, as in LLaVA's own code.
    case perPart
    /// `<image>` is a special token within one text, as in transformers; same as `perPart` if the
    /// tokenizer lacks it.
    case whole
  }

  /// The token ids of a prompt, with a placeholder for each `<image>` of its template text.
  ///
  /// Only the first part gets BOS.
  ///
  /// - Parameter bos: whether BOS is prepended; nil for the tokenizer's own setting.
  /// - Throws: the errors of `Tokenizer.encode`.
  package static func ids(
    _ prompt: PromptText, _ tokenizer: Tokenizer, bos: Bool? = nil,
    tokenization: Tokenization = .perPart
  ) throws(TextError) -> [Int] {
    if tokenization == .whole, let id = tokenizer.addedToken(marker) {
      return try tokenizer.encode(prompt, bos: bos, eos: false).map { $0 == id ? sentinel : $0 }
    }
    var ids: [Int] = []
    for (index, part) in parts(prompt).enumerated() {
      if index > 0 { ids.append(sentinel) }
      ids += try tokenizer.encode(prompt[part], bos: index == 0 ? bos : false, eos: false)
    }
    return ids
  }

  /// The number of image placeholders in a text.
  package static func count(_ text: String) -> Int { chunks(text).count - 1 }

  /// The number of image placeholders in the template text of a prompt.
  package static func count(_ prompt: PromptText) -> Int { parts(prompt).count - 1 }

  /// The parts of the text between image placeholders.
  package static func chunks(_ text: String) -> [String] {
    let prompt = PromptText(text)
    return parts(prompt).map { String(decoding: prompt.bytes[$0], as: UTF8.self) }
  }

  /// The byte ranges between image placeholders. Message text contains no placeholders.
  private static func parts(_ prompt: PromptText) -> [Range<Int>] {
    let (bytes, mark) = (prompt.bytes, Array(marker.utf8))
    var messages = prompt.messageRanges[...]
    var parts: [Range<Int>] = []
    var start = 0
    var at = 0
    while at < bytes.count {
      while let first = messages.first, first.upperBound <= at { messages.removeFirst() }
      let end = at + mark.count
      if bytes[at] == mark[0], bytes[at...].starts(with: mark),
        messages.first.map({ $0.lowerBound >= end }) ?? true
      {
        parts.append(start..<at)
        (start, at) = (end, end)
      } else {
        at += 1
      }
    }
    parts.append(start..<bytes.count)
    return parts
  }
}
