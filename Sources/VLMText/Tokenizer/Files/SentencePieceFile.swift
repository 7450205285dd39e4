import VLMFoundation

extension Tokenizer {
  /// Reads a `tokenizer.model`, a protocol buffer written by SentencePiece's trainer.
  ///
  /// BPE models with the identity normalizer are supported, and unigram models with any. The leading
  /// space follows `transformers`: `prefix`, which depends on `legacy` in `tokenizer_config.json`.
  ///
  /// - Throws: `TextError` if the bytes are not such a model, or if its kind is not supported.
  package init(
    sentencePiece bytes: [UInt8], prefix: PrefixRule = .everySegment, file: String
  ) throws(TextError) {
    try self.init(try SentencePieceModel.read(bytes, file).parts(prefix: prefix), file: file)
  }

  /// The same, with the settings of the files beside it.
  ///
  /// - Parameter notes: receives notes for the user.
  package init(
    sentencePiece bytes: [UInt8], prefix: PrefixRule, settings: TokenizerSettings, file: String,
    notes: inout [Note]
  ) throws(TextError) {
    var parts = try SentencePieceModel.read(bytes, file).parts(prefix: prefix)
    try settings.complete(&parts, places: true, notes: &notes)
    try self.init(parts, file: file)
  }

  /// The same, whose texts are first made canonical, as transformers' `SiglipTokenizer` has them: the
  /// mark of a space stands before the whole text.
  ///
  /// - Parameter lowers: whether letters are lower-cased.
  package init(
    siglip bytes: [UInt8], lowers: Bool, settings: TokenizerSettings, file: String,
    notes: inout [Note]
  ) throws(TextError) {
    var parts = try SentencePieceModel.read(bytes, file).parts(prefix: .firstSegment)
    parts.prefix = .firstSegment
    parts.flags.remove(.removesExtraSpaces)
    parts.normalizations.insert(lowers ? .canonical : .canonicalCased, at: 0)
    parts.normalizations.append(.collapsed)
    try settings.complete(&parts, places: true, notes: &notes)
    try self.init(parts, file: file)
  }
}

/// The fields of a SentencePiece model that matter for encoding.
struct SentencePieceModel {
  private let file: String
  private var parts = TokenizerParts(.scores)
  private var modelType: UInt64 = 1
  private var byteFallback = false
  private var isSuffix = false
  private var ids: [Int: Int] = [40: 0, 41: 1, 42: 2, 43: -1]
  private var normalizer = ""
  private var map: [UInt8] = []
  private var addsPrefix = true
  private var removesExtraSpaces = true
  private var escapesSpaces = true

  static func read(_ bytes: [UInt8], _ file: String) throws(TextError) -> SentencePieceModel {
    let read = bytes.withUnsafeBytes { buffer in
      Result { () throws(TextError) in try SentencePieceModel(buffer, file: file) }
    }
    return try read.get()
  }

  private init(_ buffer: UnsafeRawBufferPointer, file: String) throws(TextError) {
    self.file = file
    do throws(ProtobufReader.Failure) {
      var reader = ProtobufReader(buffer, 0..<buffer.count)
      while let field = try reader.next() {
        guard case .bytes(let range) = field.value else { continue }
        switch field.number {
        case 1: try readPiece(buffer, range)
        case 2: try readTrainer(buffer, range)
        case 3: try readNormalizer(buffer, range)
        default: break
        }
      }
    } catch {
      throw TextError(
        file: file, place: "byte \(error.offset)",
        .value(found: error.problem, expected: "a SentencePiece model"))
    }
  }

  private mutating func readPiece(
    _ buffer: UnsafeRawBufferPointer, _ range: Range<Int>
  ) throws(ProtobufReader.Failure) {
    guard parts.ends.count < TokenizerParts.maximumPieces,
      parts.text.count + range.count <= TokenizerParts.maximumText
    else { throw ProtobufReader.Failure(offset: range.lowerBound, problem: "too many pieces") }
    var reader = ProtobufReader(buffer, range)
    var text = 0..<0
    var score: Float = 0
    var kind = PieceKind.normal
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)): text = range
      case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
      case (3, .varint(let code)):
        guard let known = UInt8(exactly: code).flatMap(PieceKind.init(rawValue:)) else {
          throw ProtobufReader.Failure(offset: range.lowerBound, problem: "piece type \(code)")
        }
        kind = known
      default: break
      }
    }
    parts.append(buffer[text], kind)
    parts.scores.append(score)
  }

  private mutating func readTrainer(
    _ buffer: UnsafeRawBufferPointer, _ range: Range<Int>
  ) throws(ProtobufReader.Failure) {
    var reader = ProtobufReader(buffer, range)
    while let field = try reader.next() {
      guard case .varint(let value) = field.value else { continue }
      switch field.number {
      case 3: modelType = value
      case 24: isSuffix = value != 0
      case 35: byteFallback = value != 0
      case 40...43: ids[field.number] = Int(truncatingIfNeeded: Int32(truncatingIfNeeded: value))
      default: break
      }
    }
  }

  private mutating func readNormalizer(
    _ buffer: UnsafeRawBufferPointer, _ range: Range<Int>
  ) throws(ProtobufReader.Failure) {
    var reader = ProtobufReader(buffer, range)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let range)): normalizer = String(decoding: buffer[range], as: UTF8.self)
      case (2, .bytes(let range)): map = Array(buffer[range])
      case (3, .varint(let value)): addsPrefix = value != 0
      case (4, .varint(let value)): removesExtraSpaces = value != 0
      case (5, .varint(let value)): escapesSpaces = value != 0
      default: break
      }
    }
  }

  func parts(prefix: PrefixRule) throws(TextError) -> TokenizerParts {
    func refuse(_ place: String, _ what: String) -> TextError {
      TextError(file: file, place: place, .unsupported(what))
    }
    guard !parts.ends.isEmpty else { throw TextError(file: file, place: "pieces", .missing) }
    guard modelType == 1 || modelType == 2 else {
      let names: [UInt64: String] = [3: "word", 4: "character"]
      throw refuse("model type", names[modelType] ?? "type \(modelType)")
    }
    let isUnigram = modelType == 1
    guard map.isEmpty || isUnigram else {
      throw refuse("normalizer", "the character map of '\(normalizer)'")
    }
    if isSuffix { throw refuse("trainer", "white space as suffix") }
    if !escapesSpaces { throw refuse("normalizer", "white space that is not escaped") }
    var parts = self.parts
    if isUnigram { parts.algorithm = .unigram }
    if !map.isEmpty {
      guard let read = CharacterMap(map) else {
        throw TextError(
          file: file, place: "normalizer",
          .value(found: "\(map.count) bytes that are no map", expected: "a trie and its texts"))
      }
      parts.characterMap = read
      parts.normalizations = [.mapped]
    }
    for index in parts.kinds.indices where parts.kinds[index] == .byte {
      let start = index == 0 ? 0 : Int(parts.ends[index - 1])
      if Tokenizer.byteValue(parts.text[start..<Int(parts.ends[index])]) == nil {
        throw TextError(
          file: file, place: "piece \(index)",
          .value(found: "a byte of another name", expected: "<0x00> to <0xFF>"))
      }
    }
    parts.prefix = addsPrefix ? prefix : .never
    parts.flags = [.addsBOS, .fusesUnknown]
    if byteFallback { parts.flags.insert(.byteFallback) }
    if removesExtraSpaces { parts.flags.insert(.removesExtraSpaces) }
    parts.unknown = parts.kinds.firstIndex(of: .unknown)
    func id(_ field: Int) -> Int? {
      ids[field].flatMap { parts.ends.indices.contains($0) ? $0 : nil }
    }
    (parts.bos, parts.eos, parts.pad) = (id(41), id(42), id(43))
    // The strings that `transformers` extracts from text as special tokens.
    parts.added = Set([parts.bos, parts.eos, parts.unknown].compactMap { $0 }).sorted()
      .map { AddedToken(id: $0, flags: .special) }
    return parts
  }
}
