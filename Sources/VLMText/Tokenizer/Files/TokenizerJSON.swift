import VLMFoundation

extension Tokenizer {
  /// Reads a `tokenizer.json` of the `tokenizers` library with a BPE or a unigram model.
  ///
  /// Four kinds are supported: byte-level (GPT-2, LLaMA 3, Qwen 2, SmolLM 2), converted
  /// SentencePiece models (byte fallback, spaces as U+2581), their unigram models (T5), and CLIP's.
  /// Other parts are refused by name.
  package init(tokenizerJSON bytes: [UInt8], file: String) throws(TextError) {
    let json: JSONValue
    do throws(JSONError) { json = try JSONValue.parse(bytes, limits: .file) } catch {
      throw TextError(file: file, place: "tokenizer", .json(error.description))
    }
    try self.init(tokenizerJSON: json, file: file)
  }

  /// The same, from parsed JSON.
  ///
  /// - Parameters:
  ///   - settings: the settings of the files beside it.
  ///   - notes: receives notes for the user.
  package init(
    tokenizerJSON json: JSONValue, settings: TokenizerSettings, file: String,
    notes: inout [Note]
  ) throws(TextError) {
    var parts = try TokenizerJSON(json: json, file: file).parts()
    // CLIP's settings are built in.
    if parts.algorithm != .clip { try settings.complete(&parts, places: false, notes: &notes) }
    try self.init(parts, file: file)
  }

  /// The same, whose texts are cleaned before.
  package init(
    tokenizerJSON json: JSONValue, cleaning: TextCleaning, settings: TokenizerSettings,
    file: String, notes: inout [Note]
  ) throws(TextError) {
    var parts = try TokenizerJSON(json: json, file: file).parts()
    try settings.complete(&parts, places: false, notes: &notes)
    parts.normalizations = cleaning.steps + parts.normalizations
    try self.init(parts, file: file)
  }

  package init(tokenizerJSON json: JSONValue, file: String) throws(TextError) {
    try self.init(try TokenizerJSON(json: json, file: file).parts(), file: file)
  }
}

/// Reads the parts of a `tokenizer.json`.
package struct TokenizerJSON {
  let json: JSONValue
  let file: String

  func failure(_ place: String, _ found: String, _ expected: String) -> TextError {
    TextError(file: file, place: place, .value(found: found, expected: expected))
  }

  func unsupported(_ place: String, _ what: String) -> TextError {
    TextError(file: file, place: place, .unsupported(what))
  }

  func parts() throws(TextError) -> TokenizerParts {
    guard let model = json["model"], model.objectValue != nil else {
      throw TextError(file: file, place: "model", .missing)
    }
    // Older files omit the type.
    let type = model["type"]?.stringValue ?? "BPE"
    if type == "Unigram" { return try UnigramJSON(self, model).parts() }
    guard type == "BPE" else { throw unsupported("model", "type '\(type)'") }
    if let prefix = model["continuing_subword_prefix"]?.stringValue, !prefix.isEmpty {
      throw unsupported("model", "continuing_subword_prefix '\(prefix)'")
    }
    let suffix = model["end_of_word_suffix"]?.stringValue ?? ""
    guard suffix.isEmpty || Array(suffix.utf8) == CLIPText.wordEnd else {
      throw unsupported("model", "end_of_word_suffix '\(suffix)'")
    }
    var pre = try PreTokenizerJSON(self).read()
    let normalizer = try NormalizerJSON(self).read()
    let isCLIP = !suffix.isEmpty
    let isByteLevel = pre.isByteLevel || isCLIP
    if isByteLevel, normalizer.prepends || normalizer.marksSpaces || pre.metaspace != nil {
      throw unsupported("pre_tokenizer", "marking the spaces of a byte-level tokenizer")
    }
    // Gemma's pre-tokenizer splits at spaces, but its normalizer has already replaced them all.
    if !isByteLevel, normalizer.marksSpaces, pre.steps.allSatisfy(\.isSpace) { pre.steps = [] }
    if !isByteLevel, !pre.steps.isEmpty {
      throw unsupported("pre_tokenizer", "words of characters")
    }
    var parts = TokenizerParts(isCLIP ? .clip : isByteLevel ? .byteMerges : .characterMerges)
    parts.normalizations = normalizer.normalizations
    parts.characterMap = normalizer.map
    parts.steps = isCLIP ? [.pattern(.clip)] : pre.steps
    if model["byte_fallback"]?.boolValue == true { parts.flags.insert(.byteFallback) }
    if model["fuse_unk"]?.boolValue == true { parts.flags.insert(.fusesUnknown) }
    if model["ignore_merges"]?.boolValue == true { parts.flags.insert(.ignoresMerges) }
    let vocabulary = try VocabularyJSON(self, model, &parts)
    try vocabulary.readAdded(&parts)
    try vocabulary.readMerges(&parts)
    if let unknown = model["unk_token"]?.stringValue { parts.unknown = vocabulary.id(unknown) }
    try PostProcessorJSON(self).read(&parts, vocabulary)
    if !isByteLevel { try setSpaces(pre, normalizer, &parts) }
    if isCLIP { Self.completeCLIP(&parts, vocabulary) }
    return parts
  }

  /// The rule for the leading space, from the normalizer or from Metaspace.
  func setSpaces(
    _ pre: PreTokenizerJSON.Result, _ normalizer: NormalizerJSON.Result,
    _ parts: inout TokenizerParts
  ) throws(TextError) {
    switch (pre.metaspace, normalizer.marksSpaces) {
    case (let metaspace?, false) where !normalizer.prepends:
      parts.prefix = metaspace.prefix
      parts.flags.insert(.keepsFirstSpace)
      if metaspace.splits { parts.flags.insert(.splitsAtSpaces) }
    case (nil, true): parts.prefix = normalizer.prepends ? .everySegment : .never
    case (nil, false): throw unsupported("normalizer", "text whose spaces are not marked")
    case (_?, _): throw unsupported("pre_tokenizer", "Metaspace after a normalizer's marks")
    }
  }

  /// CLIP's built-in settings, which its files may omit.
  static func completeCLIP(_ parts: inout TokenizerParts, _ vocabulary: VocabularyJSON) {
    parts.bos = vocabulary.id("<|startoftext|>") ?? parts.bos
    parts.eos = vocabulary.id("<|endoftext|>") ?? parts.eos
    parts.flags.formUnion([.addsBOS, .addsEOS])
    parts.contextLength = 77
    parts.pad = 0
    // Unknown tokens cannot occur, because every byte has a piece.
    parts.unknown = nil
  }
}

/// The vocabulary and everything that refers to it by text.
struct VocabularyJSON {
  private let source: TokenizerJSON
  private let model: JSONValue
  private let isByteLevel: Bool
  private var ids: [ExactString: Int] = [:]

  /// A vocabulary whose pieces are in `parts` already.
  init(_ source: TokenizerJSON, _ model: JSONValue, of pieces: [String]) {
    (self.source, self.model, isByteLevel) = (source, model, false)
    for (id, piece) in pieces.enumerated() where ids[ExactString(piece)] == nil {
      ids[ExactString(piece)] = id
    }
  }

  init(
    _ source: TokenizerJSON, _ model: JSONValue, _ parts: inout TokenizerParts
  ) throws(TextError) {
    self.source = source
    self.model = model
    isByteLevel = parts.algorithm.isByteLevel
    guard let vocabulary = model["vocab"]?.objectValue else {
      throw TextError(file: source.file, place: "model: vocab", .missing)
    }
    // The bound leaves room for added tokens and gaps.
    let bound = 2 * vocabulary.count + 65_536
    var byID: [String?] = []
    ids.reserveCapacity(vocabulary.count)
    for member in vocabulary.members {
      guard let id = member.value.intValue, (0..<bound).contains(id) else {
        throw source.failure(
          "model: vocab: '\(member.key)'", member.value.serialized(), "an id below \(bound)")
      }
      while byID.count <= id { byID.append(nil) }
      guard byID[id] == nil else {
        throw source.failure("model: vocab: '\(member.key)'", "id \(id) again", "each id once")
      }
      byID[id] = member.key
      ids[ExactString(member.key)] = id
    }
    let unknown = model["unk_token"]?.stringValue
    let hasBytes = parts.flags.contains(.byteFallback)
    for piece in byID {
      guard let piece else {
        parts.append([], .unused)
        continue
      }
      if isByteLevel {
        parts.append(ByteLevelText.bytes(of: piece), .normal)
      } else if hasBytes, Tokenizer.byteValue(piece.utf8) != nil {
        parts.append(piece.utf8, .byte)
      } else {
        parts.append(piece.utf8, piece == unknown ? .unknown : .normal)
      }
    }
  }

  func id(_ piece: String) -> Int? { ids[ExactString(piece)] }

  mutating func note(_ piece: String, _ id: Int) { ids[ExactString(piece)] = id }

  func readAdded(_ parts: inout TokenizerParts) throws(TextError) {
    for (index, entry) in (source.json["added_tokens"]?.arrayValue ?? []).enumerated() {
      let place = "added_tokens[\(index)]"
      guard let id = entry["id"]?.intValue, let content = entry["content"]?.stringValue else {
        throw source.failure(place, entry.serialized(), "an id and a content")
      }
      var flags = AddedToken.Flags(json: entry)
      // CLIP's text is normalised as a whole before tokens are searched.
      if parts.algorithm == .clip { flags.remove(.normalized) }
      guard parts.add(AddedToken(id: id, flags: flags), content.utf8) else {
        throw source.failure(
          place, "'\(content)' with id \(id)", "the vocabulary's text of that id")
      }
      if flags.contains(.special), parts.kinds[id] == .normal { parts.kinds[id] = .control }
    }
  }

  /// Merges are written as `"a b"`, or as `["a", "b"]` if pieces may contain spaces.
  func readMerges(_ parts: inout TokenizerParts) throws(TextError) {
    guard let list = model["merges"]?.arrayValue else {
      throw TextError(file: source.file, place: "model: merges", .missing)
    }
    parts.merges.reserveCapacity(list.count)
    for (rank, entry) in list.enumerated() {
      let merge: MergeTable.Merge?
      if let text = entry.stringValue {
        merge = self.merge(text)
      } else if let pair = entry.arrayValue, pair.count == 2, let left = pair[0].stringValue,
        let right = pair[1].stringValue
      {
        merge = self.merge(left, right)
      } else {
        merge = nil
      }
      guard let merge else {
        throw source.failure(
          "model: merges[\(rank)]", entry.serialized(), "two pieces that make a third")
      }
      parts.merges.append(merge)
    }
  }

  func merge(_ text: String) -> MergeTable.Merge? {
    guard let space = text.utf8.firstIndex(of: 0x20) else { return nil }
    return merge(String(text[..<space]), String(text[text.utf8.index(after: space)...]))
  }

  func merge(_ left: String, _ right: String) -> MergeTable.Merge? {
    guard let a = id(left), let b = id(right), let c = id(left + right) else { return nil }
    return MergeTable.Merge(left: UInt32(a), right: UInt32(b), result: UInt32(c))
  }
}
