/// Prompts with pictures in them.
package enum ImagePrompt {
  /// Marks a picture in text.
  package static let marker = "<image>"
  /// Stands for a picture among ids; `Splice` puts visual tokens there.
  package static let sentinel = -200

  /// What becomes of the text around a picture.
  package enum Manner: Sendable {
    /// Each stretch is encoded as if it began a text, as LLaVA's own code does.
    case stretches
    /// `<image>` is a special token of the whole text, as in transformers; where the tokenizer has
    /// none, as `stretches`.
    case whole
  }

  /// The ids of a prompt, a sentinel for each `<image>` of its frame.
  ///
  /// Only the first stretch gets BOS.
  ///
  /// - Parameter bos: whether BOS comes first; nil for what the tokenizer's own file says.
  /// - Throws: as `Tokenizer.encode`.
  package static func ids(
    _ prompt: PromptText, _ tokenizer: Tokenizer, bos: Bool? = nil, manner: Manner = .stretches
  ) throws(TextError) -> [Int] {
    if manner == .whole, let id = tokenizer.addedToken(marker) {
      return try tokenizer.encode(prompt, bos: bos, eos: false).map { $0 == id ? sentinel : $0 }
    }
    var ids: [Int] = []
    for (index, stretch) in stretches(prompt).enumerated() {
      if index > 0 { ids.append(sentinel) }
      ids += try tokenizer.encode(prompt[stretch], bos: index == 0 ? bos : false, eos: false)
    }
    return ids
  }

  /// How many pictures a text names.
  package static func count(_ text: String) -> Int { chunks(text).count - 1 }

  /// How many pictures the frame of a prompt names.
  package static func count(_ prompt: PromptText) -> Int { stretches(prompt).count - 1 }

  /// The text between the markers.
  static func chunks(_ text: String) -> [String] {
    let prompt = PromptText(text)
    return stretches(prompt).map { String(decoding: prompt.bytes[$0], as: UTF8.self) }
  }

  /// Where the text between the markers stands; what somebody said holds no marker.
  private static func stretches(_ prompt: PromptText) -> [Range<Int>] {
    let (bytes, mark) = (prompt.bytes, Array(marker.utf8))
    var said = prompt.said[...]
    var stretches: [Range<Int>] = []
    var start = 0
    var at = 0
    while at < bytes.count {
      while let first = said.first, first.upperBound <= at { said.removeFirst() }
      let end = at + mark.count
      if bytes[at] == mark[0], bytes[at...].starts(with: mark),
        said.first.map({ $0.lowerBound >= end }) ?? true
      {
        stretches.append(start..<at)
        (start, at) = (end, end)
      } else {
        at += 1
      }
    }
    stretches.append(start..<bytes.count)
    return stretches
  }
}
