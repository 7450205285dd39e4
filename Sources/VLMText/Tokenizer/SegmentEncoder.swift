/// Encodes text between special tokens. Reuses its buffers.
struct SegmentEncoder {
  private let tokenizer: Tokenizer
  private let parsesSpecial: Bool
  private var merger = PairMerger()
  private var scratch = UnigramSegmenter.Scratch()
  private var symbols: [PairMerger.Symbol] = []
  private var matcher: ExpressionMatcher?
  /// Set if an expression took too many steps; the ids are then invalid.
  private(set) var failure: TextError?

  /// - Parameter parsesSpecial: whether added tokens in the normalised text become their ids.
  init(_ tokenizer: Tokenizer, parsesSpecial: Bool) {
    self.tokenizer = tokenizer
    self.parsesSpecial = parsesSpecial
  }

  private var parts: TokenizerParts { tokenizer.parts }

  /// Appends the ids of `text`.
  ///
  /// - Parameters:
  ///   - messages: ranges of message text, in which special tokens are not recognised.
  ///   - isFirst: whether this is the start of the whole text.
  mutating func encode(
    _ original: [UInt8], messages: [Range<Int>] = [], isFirst: Bool, _ ids: inout [Int]
  ) {
    var (text, messages) = (original, messages)
    for normalization in parts.normalizations {
      let normalized = normalization(text, parts.characterMap)
      if !messages.isEmpty {
        messages = Self.mapRanges(messages) { places in
          normalization.mapOffsets(places, in: text, parts.characterMap)
            .map { min($0, normalized.count) }
        }
      }
      text = normalized
    }
    guard !text.isEmpty else { return }
    switch parts.algorithm {
    case .byteMerges, .clip:
      let words = PreTokenizer(steps: parts.steps)
      forEachPart(text, messages, &ids) { encoder, part, _, ids in
        encoder.encodeWords(part, words, &ids)
      }
    case .scores, .characterMerges, .unigram:
      guard parts.flags.contains(.keepsFirstSpace) else {
        encodeSpaced(text, messages, isFirst: isFirst, &ids)
        return
      }
      forEachPart(text, messages, &ids) { encoder, part, isFirstPart, ids in
        encoder.encodeMetaspaced(part, isFirst: isFirst && isFirstPart, &ids)
      }
    }
  }

  /// Ranges in the normalised text, from the mapped offsets of their bounds.
  private static func mapRanges(
    _ messages: [Range<Int>], _ mapOffsets: (_ places: [Int]) -> [Int]
  ) -> [Range<Int>] {
    let places = mapOffsets(messages.flatMap { [$0.lowerBound, $0.upperBound] })
    return messages.indices.map {
      places[2 * $0]..<max(places[2 * $0], places[2 * $0 + 1])
    }
  }

  /// Splits normalised text at the added tokens that are searched in normalised text.
  private mutating func forEachPart(
    _ text: [UInt8], _ messages: [Range<Int>], _ ids: inout [Int],
    _ body: (inout SegmentEncoder, _ part: [UInt8], _ isFirst: Bool, _ ids: inout [Int]) -> Void
  ) {
    guard parsesSpecial, !tokenizer.normalizedTokens.isEmpty else {
      body(&self, text, true, &ids)
      return
    }
    for (index, segment) in tokenizer.normalizedTokens.split(text, messages: messages).enumerated()
    {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let range): body(&self, Array(text[range]), index == 0, &ids)
      }
    }
  }

  // MARK: Bytes

  private mutating func encodeWords(_ text: [UInt8], _ words: PreTokenizer, _ ids: inout [Int]) {
    do throws(TextError) {
      // Moved out, because the callback mutates other parts of the encoder.
      var matcher = self.matcher
      defer { self.matcher = matcher }
      try words.forEachWord(text, &matcher) { word in encodeWord(word, &ids) }
    } catch {
      failure = error
    }
  }

  private mutating func encodeWord(_ word: [UInt8], _ ids: inout [Int]) {
    let isCLIP = parts.algorithm == .clip
    if parts.flags.contains(.ignoresMerges), let id = tokenizer.pieces.id(word) {
      ids.append(id)
      return
    }
    symbols.removeAll(keepingCapacity: true)
    for (index, byte) in word.enumerated() {
      let isLast = isCLIP && index == word.count - 1
      let id = isLast ? tokenizer.lastByteIDs[Int(byte)] : tokenizer.byteIDs[Int(byte)]
      // A byte without a piece is dropped, as in the reference; published vocabularies have all
      // bytes.
      if id >= 0 {
        symbols.append(.init(id: id, index..<index + 1))
      } else if let unknown = parts.unknown {
        symbols.append(.init(id: Int32(unknown), index..<index + 1))
      }
    }
    word.withUnsafeBytes {
      merger.merge(&symbols, $0, RankRule(merges: tokenizer.merges))
    }
    for symbol in symbols { ids.append(Int(symbol.id)) }
  }

  // MARK: Characters, with spaces marked

  /// As in SentencePiece and the normalizers derived from it: the leading space is inserted first.
  private mutating func encodeSpaced(
    _ text: [UInt8], _ messages: [Range<Int>], isFirst: Bool, _ ids: inout [Int]
  ) {
    let start = ids.count
    let marked = parts.marked(text, hasPrefix: hasPrefix(isFirst))
    let messages = Self.mapRanges(messages) {
      parts.marked($0, in: text, hasPrefix: hasPrefix(isFirst))
    }
    forEachPart(marked, messages, &ids) { encoder, part, _, ids in encoder.encodeWords(part, &ids) }
    if parts.prefix == .strippedAfterFirst, !isFirst, text.first != 0x20, ids.count > start {
      stripPrefix(&ids, start)
    }
  }

  /// As in the Metaspace pre-tokenizer: text that begins with a space gets no second one.
  private mutating func encodeMetaspaced(_ text: [UInt8], isFirst: Bool, _ ids: inout [Int]) {
    let hasOwn = text.first == 0x20 || text.starts(with: UTF8Text.spaceMark)
    encodeWords(parts.marked(text, hasPrefix: hasPrefix(isFirst) && !hasOwn), &ids)
  }

  private mutating func encodeWords(_ marked: [UInt8], _ ids: inout [Int]) {
    guard parts.flags.contains(.splitsAtSpaces) else {
      encodeMarked(marked, &ids)
      return
    }
    for word in Self.words(marked) { encodeMarked(word, &ids) }
  }

  private func hasPrefix(_ isFirst: Bool) -> Bool {
    switch parts.prefix {
    case .never: false
    case .everySegment, .strippedAfterFirst: true
    case .firstSegment: isFirst
    }
  }

  private static func words(_ marked: [UInt8]) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var start = 0
    for index in marked.indices where index > start && marked[index] == UTF8Text.spaceMark[0] {
      guard marked[index...].starts(with: UTF8Text.spaceMark) else { continue }
      words.append(Array(marked[start..<index]))
      start = index
    }
    if start < marked.count { words.append(Array(marked[start...])) }
    return words
  }

  /// Minimum bytes to be merged together, if the text can be split.
  private static let stretch = 1 << 12

  private mutating func encodeMarked(_ text: [UInt8], _ ids: inout [Int]) {
    var follows = false
    text.withUnsafeBytes { bytes in
      var start = 0
      while start < bytes.count {
        let end = Self.endOfStretch(
          bytes, from: start, atSpaces: tokenizer.spacesBeginPieces)
        encodeStretch(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), &follows, &ids)
        start = end
      }
    }
  }

  /// No merge crosses the position before a space if no piece has a space after another character.
  private static func endOfStretch(
    _ bytes: UnsafeRawBufferPointer, from start: Int, atSpaces: Bool
  ) -> Int {
    guard atSpaces, bytes.count - start > stretch else { return bytes.count }
    let mark = UTF8Text.spaceMark
    var end = start + stretch
    while end <= bytes.count - mark.count {
      if bytes[end] == mark[0], bytes[end..<end + mark.count].elementsEqual(mark),
        !bytes[end - mark.count..<end].elementsEqual(mark)
      {
        return end
      }
      end += 1
    }
    return bytes.count
  }

  private mutating func encodeStretch(
    _ bytes: UnsafeRawBufferPointer, _ follows: inout Bool, _ ids: inout [Int]
  ) {
    symbols.removeAll(keepingCapacity: true)
    if tokenizer.userDefined.isEmpty {
      appendParts(bytes, 0..<bytes.count)
    } else {
      for segment in tokenizer.userDefined.split(Array(bytes)) {
        switch segment {
        case .token(let id):
          let start = symbols.last.map { Int($0.end) } ?? 0
          let length = tokenizer.pieces.range(id).count
          symbols.append(.init(id: Int32(id), start..<start + length, isFrozen: true))
        case .text(let range): appendParts(bytes, range)
        }
      }
    }
    switch parts.algorithm {
    case .unigram: break
    case .scores:
      merger.merge(
        &symbols, bytes,
        ScoreRule(pieces: tokenizer.pieces, scores: parts.scores, kinds: parts.kinds))
    default:
      merger.merge(&symbols, bytes, RankRule(merges: tokenizer.merges))
    }
    for symbol in symbols { append(symbol, bytes, &follows, &ids) }
  }

  /// What is merged, or, of a unigram model, all of the result.
  private mutating func appendParts(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    guard let unigram = tokenizer.unigram else { return appendCharacters(bytes, range) }
    unigram.append(bytes, range, to: &symbols, &scratch)
  }

  private mutating func appendCharacters(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    var at = range.lowerBound
    while at < range.upperBound {
      let end = min(at + UTF8Text.sequenceLength(bytes[at]), range.upperBound)
      let id = tokenizer.pieces.id(bytes, at..<end)
      symbols.append(.init(id: id.map { Int32($0) } ?? -1, at..<end))
      at = end
    }
  }

  /// - Parameter follows: whether the last id is the unknown token of the previous symbol.
  private func append(
    _ symbol: PairMerger.Symbol, _ bytes: UnsafeRawBufferPointer, _ follows: inout Bool,
    _ ids: inout [Int]
  ) {
    if symbol.id >= 0 {
      follows = false
      if parts.kinds[Int(symbol.id)] == .unused, parts.algorithm == .scores {
        appendHalves(of: symbol, bytes, &ids)
      } else {
        ids.append(Int(symbol.id))
      }
      return
    }
    if parts.flags.contains(.byteFallback) {
      follows = false
      for byte in bytes[symbol.range] where tokenizer.byteIDs[Int(byte)] >= 0 {
        ids.append(Int(tokenizer.byteIDs[Int(byte)]))
      }
    } else if let unknown = parts.unknown {
      if !(follows && parts.flags.contains(.fusesUnknown)) { ids.append(unknown) }
      follows = true
    }
  }

  /// A piece marked unused is only an intermediate step. If it remains after merging, it is split
  /// into the two pieces it was made of.
  private func appendHalves(
    of symbol: PairMerger.Symbol, _ bytes: UnsafeRawBufferPointer, _ ids: inout [Int]
  ) {
    var waiting = [symbol.range]
    while let range = waiting.popLast() {
      guard let id = tokenizer.pieces.id(bytes, range) else { continue }
      if parts.kinds[id] == .unused, let length = merger.leftLengths[Int32(id)] {
        waiting.append(range.lowerBound + length..<range.upperBound)
        waiting.append(range.lowerBound..<range.lowerBound + length)
      } else {
        ids.append(id)
      }
    }
  }

  /// Removes the space from the first piece: its id becomes that of the rest, or the unknown token.
  private func stripPrefix(_ ids: inout [Int], _ start: Int) {
    let piece = tokenizer.pieces.bytes(ids[start])
    guard piece.starts(with: UTF8Text.spaceMark) else { return }
    let rest = piece.dropFirst(UTF8Text.spaceMark.count)
    if rest.isEmpty {
      ids.remove(at: start)
    } else if let id = tokenizer.pieces.id(rest) ?? parts.unknown {
      ids[start] = id
    }
  }
}
