import VLMFoundation

/// Reads `post_processor`: the ids before and after a text.
struct PostProcessorJSON {
  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read(_ parts: inout TokenizerParts, _ vocabulary: VocabularyJSON) throws(TextError) {
    guard let json = source.json["post_processor"], !json.isNull else { return }
    let stages =
      json["type"]?.stringValue == "Sequence" ? json["processors"]?.arrayValue ?? [] : [json]
    for stage in stages {
      switch stage["type"]?.stringValue ?? "" {
      case "TemplateProcessing": try readTemplate(stage, &parts, vocabulary)
      case "RobertaProcessing", "BertProcessing":
        try set(\.bos, .addsBOS, stage["cls"]?.arrayValue?.last?.intValue, "cls", &parts)
        try set(\.eos, .addsEOS, stage["sep"]?.arrayValue?.last?.intValue, "sep", &parts)
      // Only adjusts offsets, which are not used here.
      case "ByteLevel": break
      case let type: throw source.unsupported("post_processor", "type '\(type)'")
      }
    }
  }

  private func readTemplate(
    _ json: JSONValue, _ parts: inout TokenizerParts, _ vocabulary: VocabularyJSON
  ) throws(TextError) {
    var isBefore = true
    for item in json["single"]?.arrayValue ?? [] {
      if item["Sequence"] != nil { isBefore = false }
      guard let name = item["SpecialToken"]?["id"]?.stringValue else { continue }
      let named = json["special_tokens"]?[name]?["ids"]?.arrayValue?.first?.intValue
      let id = named ?? vocabulary.id(name)
      if isBefore {
        try set(\.bos, .addsBOS, id, name, &parts)
      } else {
        try set(\.eos, .addsEOS, id, name, &parts)
      }
    }
  }

  private func set(
    _ place: WritableKeyPath<TokenizerParts, Int?>, _ flag: TokenizerParts.Flags, _ id: Int?,
    _ name: String, _ parts: inout TokenizerParts
  ) throws(TextError) {
    guard let id else {
      throw source.failure("post_processor", "'\(name)'", "a token of the vocabulary")
    }
    guard parts.flags.insert(flag).inserted else {
      throw source.unsupported("post_processor", "more than one token at one end of a text")
    }
    parts[keyPath: place] = id
  }
}
