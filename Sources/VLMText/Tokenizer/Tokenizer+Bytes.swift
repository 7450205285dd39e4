extension Tokenizer {
  /// The bytes that a token adds to a text where it is neither first nor special: of a piece with marks
  /// for spaces those spaces, of a byte's piece that byte. A special token's are as it is written; none
  /// for an id outside of the vocabulary.
  package func bytes(of id: Int, skipsSpace: Bool = false) -> [UInt8] {
    guard pieces.ends.indices.contains(id) else { return [] }
    let piece = pieces.bytes(id)
    guard isSpaced, !isSpecial(id) else { return Array(piece) }
    if parts.kinds[id] == .byte, let byte = Self.byteValue(piece) { return [byte] }
    var bytes: [UInt8] = []
    var rest = piece
    if skipsSpace, rest.starts(with: UTF8Text.spaceMark) {
      rest = rest.dropFirst(UTF8Text.spaceMark.count)
    }
    while let first = rest.first {
      if rest.starts(with: UTF8Text.spaceMark) {
        bytes.append(0x20)
        rest = rest.dropFirst(UTF8Text.spaceMark.count)
      } else {
        bytes.append(first)
        rest = rest.dropFirst()
      }
    }
    return bytes
  }
}
