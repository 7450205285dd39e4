/// What each token of a vocabulary adds to a text, for constraints. Made once for a model.
package final class TokenVocabulary: Sendable {
  /// Number of tokens.
  package let count: Int
  private let text: [UInt8]
  private let ends: [Int32]
  let trie: TokenTrie
  /// Tokens that keep a space at the start of a text: single bytes of SentencePiece.
  let spaceBytes: [Int]

  /// - Parameters:
  ///   - texts: by token; tokens without bytes are never allowed.
  ///   - spaceBytes: tokens whose space is never left out.
  package init(texts: [[UInt8]], spaceBytes: [Int] = []) {
    count = texts.count
    var text: [UInt8] = []
    var ends: [Int32] = []
    for bytes in texts {
      // Tokenizers are bounded far below this.
      if text.count + bytes.count <= Int(Int32.max) { text += bytes }
      ends.append(Int32(text.count))
    }
    (self.text, self.ends, self.spaceBytes) = (text, ends, spaceBytes)
    var start = 0
    trie = TokenTrie(
      ends.map { end in
        defer { start = Int(end) }
        return text[start..<Int(end)]
      })
  }

  /// The tokens of a model's tokenizer.
  package convenience init(_ tokenizer: Tokenizer) {
    let texts = (0..<tokenizer.count).map { tokenizer.answerBytes($0) }
    let space = tokenizer.byteIDs[0x20]
    self.init(texts: texts, spaceBytes: tokenizer.isSpaced && space >= 0 ? [Int(space)] : [])
  }

  /// What a token adds to a text, except at its start where a space may be left out.
  package func bytes(of token: Int) -> ArraySlice<UInt8> {
    guard ends.indices.contains(token) else { return [] }
    return text[(token == 0 ? 0 : Int(ends[token - 1]))..<Int(ends[token])]
  }
}

extension Tokenizer {
  /// The bytes that a token adds to an answer, behind other tokens; none for a special one, and for one
  /// that is not text.
  func answerBytes(_ id: Int) -> [UInt8] {
    guard pieces.ends.indices.contains(id), !isSpecial(id) else { return [] }
    let piece = pieces.bytes(id)
    guard isSpaced else {
      if parts.algorithm == .clip, piece.suffix(CLIPText.wordEnd.count) == CLIPText.wordEnd[...] {
        return Array(piece.dropLast(CLIPText.wordEnd.count)) + [0x20]
      }
      return Array(piece)
    }
    if parts.kinds[id] == .byte, let byte = Self.byteValue(piece) { return [byte] }
    // Such a piece ends the character before it, and becomes U+FFFD where it is none itself.
    guard String(validating: piece, as: UTF8.self) != nil else { return [] }
    var bytes: [UInt8] = []
    var rest = piece
    while let byte = rest.first {
      let isMark = rest.starts(with: UTF8Text.spaceMark)
      bytes.append(isMark ? 0x20 : byte)
      rest = rest.dropFirst(isMark ? UTF8Text.spaceMark.count : 1)
    }
    return bytes
  }
}
