extension Tokenizer {
  /// CLIP's tokenizer from its merges: `merges.txt` of a Hugging Face repository, or the
  /// uncompressed `bpe_simple_vocab_16e6.txt` of CLIP and open_clip.
  ///
  /// The vocabulary follows from the merges: the bytes, the bytes that end a word, the result of
  /// each merge, and the two special tokens. Of the longer list only the first 48,894 merges are
  /// used, as in CLIP.
  package init(clipMerges text: String, file: String) throws(TextError) {
    var builder = CLIPBuilder()
    // The first line is a header.
    let lines = text.split(separator: "\n").dropFirst().prefix(Self.clipMergeCount)
    for (rank, line) in lines.enumerated() {
      let names = line.split(separator: " ")
      guard names.count == 2,
        let left = builder.ids[ByteLevelText.bytes(of: String(names[0]))],
        let right = builder.ids[ByteLevelText.bytes(of: String(names[1]))]
      else {
        throw TextError(
          file: file, place: "line \(rank + 2)",
          .value(found: "'\(line)'", expected: "two pieces from above"))
      }
      builder.merge(left, right)
    }
    try self.init(builder.finish(["<|startoftext|>", "<|endoftext|>"], context: 77), file: file)
  }

  /// The same tokenizer from merges given as pairs of piece ids, with open_clip's names of the
  /// special tokens.
  ///
  /// - Parameters:
  ///   - merges: in order of rank; each refers to earlier pieces.
  ///   - context: number of ids to which a text is truncated or padded.
  package init(
    clipMerges merges: some Sequence<(left: UInt32, right: UInt32)>, context: Int, file: String
  ) throws(TextError) {
    var builder = CLIPBuilder()
    for (rank, pair) in merges.enumerated() {
      guard max(pair.left, pair.right) < builder.pieces.count else {
        throw TextError(
          file: file, place: "merge \(rank)",
          .value(found: "\(pair.left) and \(pair.right)", expected: "two pieces from before"))
      }
      builder.merge(pair.left, pair.right)
    }
    try self.init(
      builder.finish(["<start_of_text>", "<end_of_text>"], context: context), file: file)
  }

  /// 49,408 pieces, without the bytes in two forms and the two special tokens.
  package static let clipMergeCount = 48_894
}

/// CLIP's vocabulary, built merge by merge.
private struct CLIPBuilder {
  private var parts = TokenizerParts(.clip)
  private(set) var pieces: [[UInt8]] = []
  private(set) var ids: [[UInt8]: UInt32] = [:]

  init() {
    // In the order of the mapped characters: printable bytes first.
    let all = UInt8.min...UInt8.max
    let bytes =
      (all.filter { ByteLevelText.isPrintable($0) } + all.filter { !ByteLevelText.isPrintable($0) })
      .map { [$0] }
    for byte in bytes { add(byte) }
    for byte in bytes { add(byte + CLIPText.wordEnd) }
  }

  /// - Precondition: both are valid ids.
  mutating func merge(_ left: UInt32, _ right: UInt32) {
    parts.merges.append(.init(left: left, right: right, result: UInt32(pieces.count)))
    add(pieces[Int(left)] + pieces[Int(right)])
  }

  private mutating func add(_ piece: [UInt8]) {
    if ids[piece] == nil { ids[piece] = UInt32(pieces.count) }
    pieces.append(piece)
    parts.append(piece, .normal)
  }

  /// - Parameter marks: the names of the start and end tokens.
  consuming func finish(_ marks: [String], context: Int) -> TokenizerParts {
    parts.bos = pieces.count
    parts.eos = pieces.count + 1
    for (index, mark) in marks.enumerated() {
      parts.append(mark.utf8, .control)
      parts.added.append(AddedToken(id: pieces.count + index, flags: .special))
    }
    parts.steps = [.pattern(.clip)]
    parts.flags = [.addsBOS, .addsEOS]
    parts.contextLength = context
    parts.pad = 0
    return parts
  }
}
