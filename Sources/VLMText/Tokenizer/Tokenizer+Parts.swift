extension Tokenizer {
  /// Creates a tokenizer and checks every invariant that encoding and decoding rely on.
  ///
  /// - Throws: `TextError` naming the invalid part.
  init(_ parts: TokenizerParts, file: String) throws(TextError) {
    func check(
      _ condition: Bool, _ place: String, _ found: @autoclosure () -> String, _ expected: String
    ) throws(TextError) {
      if condition { return }
      throw TextError(file: file, place: place, .value(found: found(), expected: expected))
    }
    let count = parts.ends.count
    try check(
      (1...TokenizerParts.maximumPieces).contains(count), "pieces", "\(count)",
      "1 to \(TokenizerParts.maximumPieces)")
    try check(
      parts.text.count <= TokenizerParts.maximumText, "pieces", "\(parts.text.count) bytes",
      "at most \(TokenizerParts.maximumText)")
    try check(parts.kinds.count == count, "kinds", "\(parts.kinds.count)", "\(count)")
    let ascends = zip(parts.ends, parts.ends.dropFirst()).allSatisfy { $0 <= $1 }
    try check(
      ascends && parts.ends.last.map { Int($0) } == parts.text.count, "pieces",
      "ends that do not ascend to the text's", "ends of pieces")
    let usesScores = parts.algorithm.hasScores
    try check(
      parts.scores.count == (usesScores ? count : 0), "scores", "\(parts.scores.count)",
      usesScores ? "\(count)" : "none")
    if let index = parts.scores.firstIndex(where: { !$0.isFinite }) {
      try check(false, "score of piece \(index)", "\(parts.scores[index])", "a finite number")
    }
    try check(
      parts.merges.count <= 2 * TokenizerParts.maximumPieces
        && !(usesScores && parts.merges.count > 0),
      "merges", "\(parts.merges.count)", usesScores ? "none" : "at most twice as many as pieces")
    for (rank, merge) in parts.merges.enumerated() {
      let highest = max(merge.left, merge.right, merge.result)
      if Int(highest) >= count {
        try check(false, "merge \(rank)", "piece \(highest)", "one of \(count)")
      }
    }
    for (name, id) in [
      ("BOS", parts.bos), ("EOS", parts.eos), ("unknown", parts.unknown), ("padding", parts.pad),
    ] {
      guard let id else { continue }
      try check((0..<count).contains(id), name, "piece \(id)", "one of \(count)")
    }
    var seen = Set<Int>()
    for token in parts.added {
      try check(
        (0..<count).contains(token.id), "added token", "piece \(token.id)", "one of \(count)")
      try check(
        seen.insert(token.id).inserted, "added token", "piece \(token.id) twice", "each once")
    }
    try check(parts.contextLength <= 1 << 16, "context", "\(parts.contextLength)", "at most 65536")
    let steps = parts.normalizations.count + parts.steps.count
    try check(steps <= 16, "steps", "\(steps)", "at most 16")
    let maps = parts.normalizations.count { $0 == .mapped }
    try check(
      maps <= 1 && (maps == 1) == (parts.characterMap != nil), "steps",
      "\(maps) with \(parts.characterMap == nil ? "no" : "a") character map",
      "one map, and one step for it, or neither")

    let table = PieceTable(text: parts.text, ends: parts.ends) { id in
      switch parts.kinds[id] {
      case .normal: true
      case .userDefined, .unused: usesScores && !seen.contains(id)
      case .unknown, .control, .byte: false
      }
    }
    guard let table, let merges = MergeTable(parts.merges) else {
      throw TextError(
        file: file, place: "pieces",
        .value(found: "hundreds with one hash", expected: "a vocabulary of a language"))
    }
    self.init(checked: parts, table, merges)
    let needsBytes = parts.flags.contains(.byteFallback)
    if needsBytes, let byte = byteIDs.firstIndex(of: -1) {
      try check(false, "byte pieces", "none for byte \(byte)", "256")
    }
  }

  private init(checked parts: TokenizerParts, _ pieces: PieceTable, _ merges: MergeTable) {
    self.parts = parts
    self.pieces = pieces
    self.merges = merges
    var raw: [(AddedToken, [UInt8])] = []
    var normalized: [(AddedToken, [UInt8])] = []
    for token in parts.added {
      let content = Array(pieces.bytes(token.id))
      if token.flags.contains(.normalized) {
        normalized.append((token, parts.searchText(content)))
      } else {
        raw.append((token, content))
      }
    }
    added = AddedTokens(raw)
    normalizedTokens = AddedTokens(normalized)
    var byteIDs = [Int32](repeating: -1, count: 256)
    var lastByteIDs = byteIDs
    var userDefined: [(AddedToken, [UInt8])] = []
    switch parts.algorithm {
    case .scores, .characterMerges, .unigram:
      for id in parts.kinds.indices {
        if parts.kinds[id] == .byte, let byte = Self.byteValue(pieces.bytes(id)) {
          byteIDs[Int(byte)] = Int32(id)
        } else if parts.kinds[id] == .userDefined, parts.algorithm.hasScores {
          userDefined.append((AddedToken(id: id, flags: []), Array(pieces.bytes(id))))
        }
      }
    case .byteMerges, .clip:
      for byte in 0..<256 {
        let text = [UInt8(byte)]
        byteIDs[byte] = pieces.id(text).map { Int32($0) } ?? -1
        lastByteIDs[byte] = pieces.id(text + CLIPText.wordEnd).map { Int32($0) } ?? -1
      }
    }
    self.byteIDs = byteIDs
    self.lastByteIDs = lastByteIDs
    self.userDefined = AddedTokens(userDefined)
    unigram =
      parts.algorithm == .unigram
      ? UnigramSegmenter(parts) { parts.kinds[$0] == .normal || parts.kinds[$0] == .userDefined }
      : nil
    spacesBeginPieces =
      !parts.algorithm.isByteLevel
      && parts.kinds.indices.allSatisfy { id in
        switch parts.kinds[id] {
        case .unknown, .control, .byte: return true
        // The effect of these steps depends on the whole text.
        case .unused: return pieces.range(id).isEmpty
        case .normal, .userDefined: return !Self.hasInnerSpace(pieces.bytes(id))
        }
      }
  }

  /// Whether a piece has a space after another character.
  private static func hasInnerSpace(_ piece: ArraySlice<UInt8>) -> Bool {
    let mark = UTF8Text.spaceMark
    var rest = piece
    while rest.starts(with: mark) { rest = rest.dropFirst(mark.count) }
    while let place = rest.firstIndex(of: mark[0]) {
      rest = rest[place...]
      if rest.starts(with: mark) { return true }
      rest = rest.dropFirst()
    }
    return false
  }

  /// The byte of a piece such as `<0x0A>`; nil for other pieces.
  static func byteValue(_ piece: some Collection<UInt8>) -> UInt8? {
    let piece = Array(piece)
    guard piece.count == 6, piece[0..<3].elementsEqual("<0x".utf8), piece[5] == UInt8(ascii: ">")
    else { return nil }
    let digits = String(decoding: piece[3..<5], as: UTF8.self)
    return digits.utf8.allSatisfy { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }
      ? UInt8(digits, radix: 16) : nil
  }
}
