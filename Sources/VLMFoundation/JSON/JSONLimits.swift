/// What parsing a JSON text may cost. The text may be hostile, so everything is bounded.
package struct JSONLimits: Sendable, Equatable {
  /// Nesting of arrays and objects. Real configurations nest fewer than ten deep.
  package var maximumDepth: Int
  /// Bytes of text.
  package var maximumBytes: Int
  /// Values in the whole text, which bounds the memory of the parsed tree.
  package var maximumNodes: Int
  /// Whether a byte order mark of UTF-8 may stand before the text, as editors on Windows put it there.
  package var allowsMark: Bool

  /// The defaults hold every published `config.json` and `tokenizer.json` several times over.
  package init(
    maximumDepth: Int = 64, maximumBytes: Int = 64 << 20, maximumNodes: Int = 4_000_000,
    allowsMark: Bool = false
  ) {
    self.maximumDepth = maximumDepth
    self.maximumBytes = maximumBytes
    self.maximumNodes = maximumNodes
    self.allowsMark = allowsMark
  }

  /// For files that people write.
  package static let file = JSONLimits(allowsMark: true)
}
