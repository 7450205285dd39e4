extension Tokenizer {
  /// CLIP's tokenizer from its list of merges: `merges.txt` of a Hugging Face repository, or the
  /// unpacked `bpe_simple_vocab_16e6.txt` of CLIP and open_clip.
  ///
  /// The vocabulary follows from the merges: the bytes, the bytes that end a word, what each merge
  /// makes, and the two marks. Of the longer list only as many as CLIP uses count.
  package init(clipMerges text: String, file: String) throws(TextError) {
    var parts = TokenizerParts(.clip)
    var ids: [[UInt8]: UInt32] = [:]
    func add(_ piece: [UInt8]) {
      if ids[piece] == nil { ids[piece] = UInt32(parts.ends.count) }
      parts.append(piece, .normal)
    }
    // In the order of their stand-ins: printable bytes first.
    let printable = (0...255).filter { Self.isPrintable(UInt8($0)) }
    let others = (0...255).filter { !Self.isPrintable(UInt8($0)) }
    let bytes = (printable + others).map { [UInt8($0)] }
    for byte in bytes { add(byte) }
    for byte in bytes { add(byte + CLIPText.wordEnd) }
    // The first line is a title.
    let lines = text.split(separator: "\n").dropFirst().prefix(Self.clipMergeCount)
    for (rank, line) in lines.enumerated() {
      let names = line.split(separator: " ")
      guard names.count == 2,
        let left = ids[ByteLevelText.bytes(of: String(names[0]))],
        let right = ids[ByteLevelText.bytes(of: String(names[1]))]
      else {
        throw TextError(
          file: file, place: "line \(rank + 2)",
          .value(found: "'\(line)'", expected: "two pieces from above"))
      }
      let result = UInt32(parts.ends.count)
      parts.merges.append(.init(left: left, right: right, result: result))
      add(ByteLevelText.bytes(of: names.joined()))
    }
    parts.bos = parts.ends.count
    parts.append("<|startoftext|>".utf8, .control)
    parts.eos = parts.ends.count
    parts.append("<|endoftext|>".utf8, .control)
    for id in [parts.bos, parts.eos].compactMap({ $0 }) {
      parts.added.append(AddedToken(id: id, flags: .special))
    }
    parts.steps = [.pattern(.clip)]
    parts.flags = [.addsBOS, .addsEOS]
    parts.contextLength = 77
    parts.pad = 0
    try self.init(parts, file: file)
  }

  /// 49,408 pieces less the bytes, twice, and the two marks.
  private static let clipMergeCount = 48_894

  private static func isPrintable(_ byte: UInt8) -> Bool {
    switch byte {
    case 33...126, 161...172, 174...255: true
    default: false
    }
  }
}
