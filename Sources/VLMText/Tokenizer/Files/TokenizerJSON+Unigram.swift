import VLMFoundation

/// Reads a unigram model of `tokenizer.json`: SentencePiece's, as T5 and XLM-RoBERTa have them.
struct UnigramJSON {
  private let source: TokenizerJSON
  private let model: JSONValue

  init(_ source: TokenizerJSON, _ model: JSONValue) { (self.source, self.model) = (source, model) }

  func parts() throws(TextError) -> TokenizerParts {
    var parts = TokenizerParts(.unigram)
    var pieces: [String] = []
    guard let list = model["vocab"]?.arrayValue else {
      throw TextError(file: source.file, place: "model: vocab", .missing)
    }
    let unknown = model["unk_id"]?.intValue
    let hasBytes = model["byte_fallback"]?.boolValue == true
    for (id, entry) in list.enumerated() {
      let pair = entry.arrayValue ?? []
      guard pair.count == 2, let piece = pair[0].stringValue, let score = pair[1].doubleValue else {
        throw source.failure("model: vocab[\(id)]", entry.serialized(), "a piece and its score")
      }
      let isByte = hasBytes && Tokenizer.byteValue(piece.utf8) != nil
      parts.append(piece.utf8, id == unknown ? .unknown : isByte ? .byte : .normal)
      parts.scores.append(Float(score))
      pieces.append(piece)
    }
    // The library makes one of a run of them.
    parts.flags = [.fusesUnknown]
    if hasBytes { parts.flags.insert(.byteFallback) }
    parts.unknown = unknown
    let normalizer = try NormalizerJSON(source).read()
    parts.normalizations = normalizer.normalizations
    parts.characterMap = normalizer.map
    let vocabulary = VocabularyJSON(source, model, of: pieces)
    try vocabulary.readAdded(&parts)
    try PostProcessorJSON(source).read(&parts, vocabulary)
    try setSpaces(normalizer, &parts)
    return parts
  }

  /// Metaspace, behind nothing or behind a cut at white space, which leaves no run of it.
  private func setSpaces(
    _ normalizer: NormalizerJSON.Result, _ parts: inout TokenizerParts
  ) throws(TextError) {
    guard var json = source.json["pre_tokenizer"], !json.isNull else {
      throw source.unsupported("pre_tokenizer", "text whose spaces are not marked")
    }
    var cuts = false
    if json["type"]?.stringValue == "Sequence", let stages = json["pretokenizers"]?.arrayValue {
      let kinds = stages.map { $0["type"]?.stringValue ?? "" }
      guard kinds == ["Metaspace"] || kinds == ["WhitespaceSplit", "Metaspace"] else {
        throw source.unsupported("pre_tokenizer", kinds.joined(separator: ", "))
      }
      cuts = stages.count == 2
      json = stages[stages.count - 1]
    }
    let pre = try PreTokenizerJSON(source).read(json)
    guard pre.metaspace != nil, pre.steps.isEmpty, !pre.isByteLevel else {
      throw source.unsupported("pre_tokenizer", "type '\(json["type"]?.stringValue ?? "")'")
    }
    try source.setSpaces(pre, normalizer, &parts)
    guard cuts else { return }
    // Every word gets a mark in front, a first one that had none too.
    guard parts.prefix == .everySegment else {
      throw source.unsupported("pre_tokenizer", "WhitespaceSplit before words without a mark")
    }
    parts.flags.remove(.keepsFirstSpace)
    parts.flags.insert(.removesExtraSpaces)
  }
}
