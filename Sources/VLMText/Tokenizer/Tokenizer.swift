/// Encodes text to token ids and decodes them.
///
/// A value type that may be used from any thread. Created from a SentencePiece model, a
/// `tokenizer.json`, the metadata of a GGUF file, or a container section.
package struct Tokenizer: Sendable {
  let parts: TokenizerParts
  let pieces: PieceTable
  let merges: MergeTable
  let added: AddedTokens
  /// Added tokens that are searched in the normalised text.
  let normalizedTokens: AddedTokens
  /// Ids by byte: of `<0x..>` pieces, or of the pieces for single bytes. -1 for none.
  let byteIDs: [Int32]
  /// CLIP: the same for a byte at the end of a word.
  let lastByteIDs: [Int32]
  /// SentencePiece user-defined pieces, which are extracted from the text first.
  let userDefined: AddedTokens
  /// Of a unigram model: what cuts text into pieces.
  let unigram: UnigramSegmenter?
  /// SentencePiece: whether text may be split before a space that follows another character,
  /// because no piece contains such a space.
  let spacesBeginPieces: Bool

  /// The rule for the leading space; see `PrefixRule`.
  package var prefix: PrefixRule { parts.prefix }

  package var count: Int { pieces.count }
  package var bos: Int? { parts.bos }
  package var eos: Int? { parts.eos }
  package var unknown: Int? { parts.unknown }
  package var pad: Int? { parts.pad }
  /// Whether `encode` prepends BOS by default.
  package var addsBOS: Bool { parts.flags.contains(.addsBOS) }
  package var addsEOS: Bool { parts.flags.contains(.addsEOS) }
  /// Number of ids returned by `encodePadded`; nil if the tokenizer has no fixed length.
  package var contextLength: Int? { parts.contextLength > 0 ? parts.contextLength : nil }

  /// The id of the piece with exactly this text.
  package func id(of piece: String) -> Int? {
    if let id = pieces.id(piece.utf8) { return id }
    let bytes = Array(piece.utf8)
    return pieces.ends.indices.first {
      pieces.range($0).count == bytes.count && pieces.bytes($0).elementsEqual(bytes)
    }
  }

  /// The text of a piece in the vocabulary; invalid UTF-8 becomes U+FFFD.
  package func piece(_ id: Int) -> String? {
    pieces.ends.indices.contains(id) ? String(decoding: pieces.bytes(id), as: UTF8.self) : nil
  }

  /// The first piece whose id is at least `rows`, and the number of such pieces; nil if there are
  /// none.
  package func pieces(from rows: Int) -> (id: Int, first: String, count: Int)? {
    let ids = (max(0, rows)..<max(rows, count)).filter { !pieces.range($0).isEmpty }
    return ids.first.flatMap { id in piece(id).map { (id, $0, ids.count) } }
  }

  package func isSpecial(_ id: Int) -> Bool {
    guard pieces.ends.indices.contains(id) else { return false }
    if let isSpecial = added.isSpecial(id) ?? normalizedTokens.isSpecial(id) { return isSpecial }
    return parts.kinds[id] == .control || parts.kinds[id] == .unknown
  }

  /// The id of the added token with exactly this text; nil for other pieces.
  package func addedToken(_ text: String) -> Int? {
    id(of: text).flatMap {
      (added.isSpecial($0) ?? normalizedTokens.isSpecial($0)) == nil ? nil : $0
    }
  }

  // MARK: Encoding

  /// Maximum bytes of a text; offsets are 32-bit integers.
  private static let maximumText = 1 << 29

  /// Lower bound of the number of ids of a text of `byteCount` bytes; nil if its length gives none, as
  /// when text can be dropped.
  package func minimumTokenCount(byteCount: Int) -> Int? {
    guard let bytesPerID else { return nil }
    return byteCount / bytesPerID + (byteCount % bytesPerID == 0 ? 0 : 1)
  }

  /// Maximum bytes of text per id.
  private var bytesPerID: Int? {
    let dropsUnknown = parts.flags.contains(.fusesUnknown) && !parts.flags.contains(.byteFallback)
    let dropsBytes =
      parts.algorithm.isByteLevel && parts.unknown == nil && byteIDs.contains { $0 < 0 }
    let stripping: AddedToken.Flags = [.stripsLeft, .stripsRight]
    guard !dropsUnknown, !dropsBytes, !parts.flags.contains(.removesExtraSpaces),
      parts.algorithm != .clip, !parts.steps.contains(where: \.drops),
      !parts.added.contains(where: { !$0.flags.isDisjoint(with: stripping) })
    else { return nil }
    // Normalization may shrink a character to a third, and compose three characters to one.
    var shrinking = 1
    for normalization in parts.normalizations {
      switch normalization {
      case .composed: shrinking *= 9
      case .decomposed, .lowercased: shrinking *= 3
      case .strippedLeft, .strippedRight, .mapped, .collapsed, .canonical, .canonicalCased,
        .repaired, .repairedLines, .spaced:
        return nil
      }
    }
    let longest = max(pieces.longest, normalizedTokens.longest, ImagePrompt.marker.utf8.count)
    return longest * shrinking
  }

  /// Encodes `text`.
  ///
  /// - Parameters:
  ///   - bos, eos: whether to prepend or append that id; nil for the tokenizer's own setting.
  ///   - parsesSpecial: whether added tokens in the text become their ids, as in `transformers`;
  ///     otherwise they are encoded as plain text.
  /// - Throws: `TextError` if the tokenizer's expression exceeds the step limit on `text`; none of
  ///   the published ones does.
  package func encode(
    _ text: String, bos: Bool? = nil, eos: Bool? = nil, parsesSpecial: Bool = true
  ) throws(TextError) -> [Int] {
    try encode(Array(text.utf8), messages: [], bos, eos, parsesSpecial: parsesSpecial)
  }

  /// Encodes a prompt. Message text never becomes part of a special token.
  ///
  /// - Throws: the errors of `encode`.
  package func encode(
    _ prompt: PromptText, bos: Bool? = nil, eos: Bool? = nil
  ) throws(TextError) -> [Int] {
    try encode(prompt.bytes, messages: prompt.messageRanges, bos, eos, parsesSpecial: true)
  }

  private func encode(
    _ text: [UInt8], messages: [Range<Int>], _ bos: Bool?, _ eos: Bool?, parsesSpecial: Bool
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
      ? added.split(text, messages: messages) : text.isEmpty ? [] : [.text(0..<text.count)]
    var encoder = SegmentEncoder(self, parsesSpecial: parsesSpecial)
    var rest = normalizedTokens.hasSpecial ? messages[...] : []
    for (index, segment) in segments.enumerated() {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let range):
        while let first = rest.first, first.upperBound <= range.lowerBound { rest.removeFirst() }
        let inside = rest.prefix { $0.lowerBound < range.upperBound }
        encoder.encode(
          Array(text[range]), messages: inside.clamped(to: range), isFirst: index == 0, &ids)
      }
      if encoder.failure != nil { break }
    }
    if let failure = encoder.failure { throw failure }
    if eos ?? addsEOS, let id = self.eos { ids.append(id) }
    return ids
  }

  /// Encodes to exactly the context length: truncated, with the last id replaced by EOS, or padded.
  /// The input of a text tower.
  ///
  /// - Parameters:
  ///   - length: the context length, if the model's differs from the tokenizer's.
  ///   - ends: whether BOS and EOS stand around the text; nil for the tokenizer's own setting.
  /// - Throws: the errors of `encode`.
  package func encodePadded(
    _ text: String, length: Int? = nil, ends: Bool? = true
  ) throws(TextError) -> [Int] {
    var ids = try encode(text, bos: ends, eos: ends)
    guard let length = length ?? contextLength else { return ids }
    if ids.count > length {
      ids.removeLast(ids.count - length)
      if ends ?? addsEOS, let eos { ids[length - 1] = eos }
    }
    let padding = [Int](repeating: pad ?? 0, count: length - ids.count)
    return parts.flags.contains(.padsLeft) ? padding + ids : ids + padding
  }
}
