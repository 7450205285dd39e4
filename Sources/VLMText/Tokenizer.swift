/// Text to the ids of a vocabulary's pieces and back.
///
/// A value: it may be used from any thread. Made from a SentencePiece model, a `tokenizer.json`, the
/// metadata of a GGUF file, or the section of a container that holds one.
package struct Tokenizer: Sendable {
  let parts: TokenizerParts
  let pieces: PieceTable
  let merges: MergeTable
  let added: AddedTokens
  /// Added tokens that are looked for in the text as it was changed.
  let changedTokens: AddedTokens
  /// Ids by byte: of `<0x..>` pieces, or of the pieces that spell a byte. -1 where there is none.
  let byteIDs: [Int32]
  /// CLIP: the same, for a byte that ends a word.
  let lastByteIDs: [Int32]
  /// SentencePiece pieces that are cut out of the text first.
  let userDefined: AddedTokens
  /// SentencePiece: whether text may be cut before a space that no other is before, since no piece
  /// has one there.
  let spacesBeginPieces: Bool

  /// Where the space that begins text goes; see `PrefixRule`.
  package var prefix: PrefixRule { parts.prefix }

  package var count: Int { pieces.count }
  package var bos: Int? { parts.bos }
  package var eos: Int? { parts.eos }
  package var unknown: Int? { parts.unknown }
  package var pad: Int? { parts.pad }
  /// Whether `encode` puts BOS first unless told otherwise.
  package var addsBOS: Bool { parts.flags.contains(.addsBOS) }
  package var addsEOS: Bool { parts.flags.contains(.addsEOS) }
  /// Ids that `encodePadded` makes; nil where the tokenizer has no such rule.
  package var contextLength: Int? { parts.contextLength > 0 ? parts.contextLength : nil }

  /// The id of the piece that reads exactly so.
  package func id(of piece: String) -> Int? {
    if let id = pieces.id(piece.utf8) { return id }
    let bytes = Array(piece.utf8)
    return pieces.ends.indices.first {
      pieces.range($0).count == bytes.count && pieces.bytes($0).elementsEqual(bytes)
    }
  }

  /// The piece as it stands in the vocabulary; bytes that are not UTF-8 read as U+FFFD.
  package func piece(_ id: Int) -> String? {
    pieces.ends.indices.contains(id) ? String(decoding: pieces.bytes(id), as: UTF8.self) : nil
  }

  /// The first of the pieces whose ids are `rows` or more, and how many they are; nil for none.
  package func pieces(from rows: Int) -> (id: Int, first: String, count: Int)? {
    let ids = (max(0, rows)..<max(rows, count)).filter { !pieces.range($0).isEmpty }
    return ids.first.flatMap { id in piece(id).map { (id, $0, ids.count) } }
  }

  package func isSpecial(_ id: Int) -> Bool {
    guard pieces.ends.indices.contains(id) else { return false }
    if let isSpecial = added.isSpecial(id) ?? changedTokens.isSpecial(id) { return isSpecial }
    return parts.kinds[id] == .control || parts.kinds[id] == .unknown
  }

  /// The id of an added token that reads exactly so; nil for any other piece.
  package func addedToken(_ text: String) -> Int? {
    id(of: text).flatMap {
      (added.isSpecial($0) ?? changedTokens.isSpecial($0)) == nil ? nil : $0
    }
  }

  // MARK: Encoding

  /// Bytes of a text at most: places in it are 32-bit integers.
  private static let maximumText = 1 << 29

  /// How many ids a text of `bytes` bytes has at the least; nil where its length does not tell, as
  /// where text is dropped.
  package func fewestIDs(bytes: Int) -> Int? {
    guard let bytesPerID else { return nil }
    return bytes / bytesPerID + (bytes % bytesPerID == 0 ? 0 : 1)
  }

  /// Bytes of text that one id may stand for.
  private var bytesPerID: Int? {
    let dropsUnknown = parts.flags.contains(.fusesUnknown) && !parts.flags.contains(.byteFallback)
    let dropsBytes =
      parts.algorithm.isByteLevel && parts.unknown == nil && byteIDs.contains { $0 < 0 }
    let stripping: AddedToken.Flags = [.stripsLeft, .stripsRight]
    guard !dropsUnknown, !dropsBytes, !parts.flags.contains(.removesExtraSpaces),
      parts.algorithm != .clip, !parts.steps.contains(where: \.drops),
      !parts.added.contains(where: { !$0.flags.isDisjoint(with: stripping) })
    else { return nil }
    // One character may become another a third as long, and three may become one.
    var shrinking = 1
    for change in parts.changes {
      switch change {
      case .composed: shrinking *= 9
      case .decomposed, .lowercased: shrinking *= 3
      case .strippedLeft, .strippedRight: return nil
      }
    }
    let longest = max(pieces.longest, changedTokens.longest, ImagePrompt.marker.utf8.count)
    return longest * shrinking
  }

  /// The ids of `text`.
  ///
  /// - Parameters:
  ///   - bos, eos: whether the sequence begins or ends with that id; nil for what the tokenizer's
  ///     own file says.
  ///   - parsesSpecial: whether added tokens that stand in the text become their ids, as
  ///     `transformers` does; otherwise they are spelled like any other text.
  /// - Throws: `TextError` where the tokenizer's expression takes more steps on `text` than are
  ///   allowed; none of the published ones does.
  package func encode(
    _ text: String, bos: Bool? = nil, eos: Bool? = nil, parsesSpecial: Bool = true
  ) throws(TextError) -> [Int] {
    try encode(Array(text.utf8), said: [], bos, eos, parsesSpecial: parsesSpecial)
  }

  /// The ids of a prompt: those of its text, but that no byte of what somebody said is part of a
  /// special token.
  ///
  /// - Throws: as the other `encode`.
  package func encode(
    _ prompt: PromptText, bos: Bool? = nil, eos: Bool? = nil
  ) throws(TextError) -> [Int] {
    try encode(prompt.bytes, said: prompt.said, bos, eos, parsesSpecial: true)
  }

  private func encode(
    _ text: [UInt8], said: [Range<Int>], _ bos: Bool?, _ eos: Bool?, parsesSpecial: Bool
  ) throws(TextError) -> [Int] {
    guard text.count <= Self.maximumText else {
      throw TextError(
        file: "tokenizer", place: "text",
        .value(found: "\(text.count) bytes", expected: "at most \(Self.maximumText)"))
    }
    var ids: [Int] = []
    if bos ?? addsBOS, let id = self.bos { ids.append(id) }
    let text = parts.algorithm == .clip ? CLIPText.cleaned(text) : text
    let segments =
      parsesSpecial
      ? added.split(text, said: said) : text.isEmpty ? [] : [.text(0..<text.count)]
    var encoder = SegmentEncoder(self, parsesSpecial: parsesSpecial)
    var rest = changedTokens.hasSpecial ? said[...] : []
    for (index, segment) in segments.enumerated() {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let range):
        while let first = rest.first, first.upperBound <= range.lowerBound { rest.removeFirst() }
        let inside = rest.prefix { $0.lowerBound < range.upperBound }
        encoder.encode(
          Array(text[range]), said: inside.clamped(to: range), isFirst: index == 0, &ids)
      }
      if encoder.failure != nil { break }
    }
    if let failure = encoder.failure { throw failure }
    if eos ?? addsEOS, let id = self.eos { ids.append(id) }
    return ids
  }

  /// As many ids as the context has: cut, with the last replaced by EOS, or padded. What CLIP's text
  /// encoder takes.
  ///
  /// - Parameter length: of the context, where the model says another than the tokenizer.
  /// - Throws: as `encode`.
  package func encodePadded(
    _ text: String, length: Int? = nil
  ) throws(TextError) -> [Int] {
    var ids = try encode(text, bos: true, eos: true)
    guard let length = length ?? contextLength else { return ids }
    if ids.count > length {
      ids.removeLast(ids.count - length)
      if let eos { ids[length - 1] = eos }
    }
    return ids + [Int](repeating: pad ?? 0, count: length - ids.count)
  }
}
