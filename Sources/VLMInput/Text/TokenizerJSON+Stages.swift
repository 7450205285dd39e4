import VLMTensor

/// Reads `pre_tokenizer`.
struct PreTokenizerJSON {
  struct Result {
    var steps: [PreTokenizer.Step] = []
    var isByteLevel = false
    /// Metaspace: where the space that begins text goes, and whether words are cut at spaces.
    var prefix = PrefixRule.never
    var splits = false
  }

  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read() throws(TextError) -> Result {
    var result = Result()
    guard let json = source.json["pre_tokenizer"], !json.isNull else { return result }
    try read(json, &result, isNested: false)
    return result
  }

  private func read(
    _ json: JSONValue, _ result: inout Result, isNested: Bool
  ) throws(TextError) {
    let type = json["type"]?.stringValue ?? ""
    switch type {
    case "Sequence" where !isNested:
      for stage in json["pretokenizers"]?.arrayValue ?? [] {
        try read(stage, &result, isNested: true)
      }
    case "ByteLevel":
      result.isByteLevel = true
      if json["add_prefix_space"]?.boolValue == true { result.steps.append(.prefixSpace) }
      if json["use_regex"]?.boolValue ?? true { result.steps.append(.pattern(.gpt2)) }
    case "Digits":
      let single = json["individual_digits"]?.boolValue ?? false
      result.steps.append(single ? .singleDigits : .digitRuns)
    case "Split": result.steps.append(.pattern(try pattern(json)))
    case "Metaspace":
      if let mark = json["replacement"]?.stringValue, mark != "\u{2581}" {
        throw source.unsupported("pre_tokenizer", "the mark '\(mark)' for spaces")
      }
      let scheme = json["prepend_scheme"]?.stringValue ?? "always"
      let adds = json["add_prefix_space"]?.boolValue ?? true
      result.prefix =
        scheme == "first" ? .firstSegment : scheme == "never" || !adds ? .never : .everySegment
      result.splits = json["split"]?.boolValue ?? true
    default: throw source.unsupported("pre_tokenizer", "type '\(type)'")
    }
  }

  /// The expressions that published files have, by their text.
  private func pattern(_ json: JSONValue) throws(TextError) -> TextPattern {
    let text = json["pattern"]?["Regex"]?.stringValue ?? ""
    let behavior = json["behavior"]?.stringValue ?? "Isolated"
    let isInverted = json["invert"]?.boolValue ?? false
    guard let pattern = Self.patterns[text] else {
      throw source.unsupported("pre_tokenizer", "the expression \(text)")
    }
    // Words are what the expression matches: cut out as they are, or all else removed.
    guard pattern == .clip ? isInverted || behavior != "Removed" : behavior == "Isolated" else {
      throw source.unsupported("pre_tokenizer", "behavior '\(behavior)'")
    }
    return pattern
  }

  private static let patterns: [String: TextPattern] = [
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
      + #"\s*[\r\n]+|\s+(?!\S)|\s+"#: .llama3,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
      + #"\s*[\r\n]+|\s+(?!\S)|\s+"#: .qwen2,
    #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#: .clip,
    #"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|"#
      + #"[^\s\p{L}\p{N}]+"#: .clip,
  ]
}

/// Reads `normalizer`: what SentencePiece and CLIP models have become there.
struct NormalizerJSON {
  struct Result: Equatable {
    var prepends = false
    var marksSpaces = false
  }

  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read() throws(TextError) -> Result {
    var result = Result()
    guard let json = source.json["normalizer"], !json.isNull else { return result }
    let isCLIP = !(source.json["model"]?["end_of_word_suffix"]?.stringValue ?? "").isEmpty
    let stages =
      json["type"]?.stringValue == "Sequence" ? json["normalizers"]?.arrayValue ?? [] : [json]
    for stage in stages {
      let type = stage["type"]?.stringValue ?? ""
      switch type {
      // CLIP's are done by `CLIPText`.
      case "NFC", "Lowercase",
        "Replace" where isCLIP:
        break
      case "Prepend" where stage["prepend"]?.stringValue == "\u{2581}": result.prepends = true
      case "Replace"
      where stage["pattern"]?["String"]?.stringValue == " "
        && stage["content"]?.stringValue == "\u{2581}":
        result.marksSpaces = true
      default: throw source.unsupported("normalizer", "type '\(type)'")
      }
    }
    return result
  }
}

/// Reads `post_processor`: which ids stand before and after a text.
struct PostProcessorJSON {
  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read(_ parts: inout TokenizerParts, _ vocabulary: VocabularyJSON) throws(TextError) {
    guard let json = source.json["post_processor"], !json.isNull else { return }
    let stages =
      json["type"]?.stringValue == "Sequence" ? json["processors"]?.arrayValue ?? [] : [json]
    for stage in stages where stage["type"]?.stringValue == "TemplateProcessing" {
      var isBefore = true
      for item in stage["single"]?.arrayValue ?? [] {
        if item["Sequence"] != nil { isBefore = false }
        guard let name = item["SpecialToken"]?["id"]?.stringValue else { continue }
        let named = stage["special_tokens"]?[name]?["ids"]?.arrayValue?.first?.intValue
        guard let id = named ?? vocabulary.id(name) else {
          throw source.failure("post_processor", "'\(name)'", "a token of the vocabulary")
        }
        if isBefore {
          parts.bos = id
          parts.flags.insert(.addsBOS)
        } else {
          parts.eos = id
          parts.flags.insert(.addsEOS)
        }
      }
    }
  }
}
