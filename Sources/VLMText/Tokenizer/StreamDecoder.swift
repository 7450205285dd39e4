/// Decodes token ids to text incrementally.
///
/// Never returns part of a character: bytes that later ids may complete are held back. If spaces
/// are part of the pieces, the leading one is dropped.
package struct StreamDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecial: Bool
  private var assembler: TextAssembler
  private var isStart = true

  init(_ tokenizer: Tokenizer, skipsSpecial: Bool) {
    self.tokenizer = tokenizer
    self.skipsSpecial = skipsSpecial
    assembler = TextAssembler(replacesEachByte: tokenizer.isSpaced)
  }

  /// Whether a space that the next token begins with is left out.
  package var skipsSpace: Bool { isStart && tokenizer.isSpaced && tokenizer.prefix != .never }

  /// The text that is complete after `id`; empty inside a character.
  package mutating func append(_ id: Int) -> String {
    guard tokenizer.pieces.ends.indices.contains(id) else { return "" }
    if tokenizer.isSpecial(id) {
      if skipsSpecial { return "" }
      assembler.append(tokenizer.pieces.bytes(id))
    } else {
      tokenizer.append(id, strips: isStart && tokenizer.prefix != .never ? 1 : 0, &assembler)
    }
    isStart = false
    return assembler.take()
  }

  /// The end of the text: incomplete bytes as U+FFFD.
  package mutating func finish() -> String { assembler.finish() }
}
