extension Tokenizer {
  /// CLIP's tokenizer from its list of merges: `merges.txt` of a Hugging Face repository, or the
  /// unpacked `bpe_simple_vocab_16e6.txt` of CLIP and open_clip.
  ///
  /// The vocabulary follows from the merges: the bytes, the bytes that end a word, what each merge
  /// makes, and the two marks. Of the longer list only as many as CLIP uses count.
  package init(clipMerges text: String, file: String) throws(TextError) {
    var builder = CLIPBuilder()
    // The first line is a title.
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

  /// The same tokenizer from the ids of each merge's two pieces, under the names of open_clip.
  ///
  /// - Parameters:
  ///   - merges: the first rank first; each names pieces that are there before it.
  ///   - context: ids that a text is cut or filled up to.
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

  /// 49,408 pieces less the bytes, twice, and the two marks.
  package static let clipMergeCount = 48_894
}

/// CLIP's vocabulary as it grows by merges.
private struct CLIPBuilder {
  private var parts = TokenizerParts(.clip)
  private(set) var pieces: [[UInt8]] = []
  private(set) var ids: [[UInt8]: UInt32] = [:]

  init() {
    // In the order of their stand-ins: printable bytes first.
    let all = UInt8.min...UInt8.max
    let bytes =
      (all.filter { ByteLevelText.isPrintable($0) } + all.filter { !ByteLevelText.isPrintable($0) })
      .map { [$0] }
    for byte in bytes { add(byte) }
    for byte in bytes { add(byte + CLIPText.wordEnd) }
  }

  /// - Precondition: both are ids of pieces.
  mutating func merge(_ left: UInt32, _ right: UInt32) {
    parts.merges.append(.init(left: left, right: right, result: UInt32(pieces.count)))
    add(pieces[Int(left)] + pieces[Int(right)])
  }

  private mutating func add(_ piece: [UInt8]) {
    if ids[piece] == nil { ids[piece] = UInt32(pieces.count) }
    pieces.append(piece)
    parts.append(piece, .normal)
  }

  /// - Parameter marks: what begin and end of a text are called.
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
