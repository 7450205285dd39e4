import VLMTensor

/// Reads `pre_tokenizer`.
struct PreTokenizerJSON {
  struct Result {
    var steps: [PreTokenizer.Step] = []
    var isByteLevel = false
    /// Metaspace: where the space that begins text goes, and whether words are cut at spaces.
    var metaspace: (prefix: PrefixRule, splits: Bool)?
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
      guard result.metaspace == nil else {
        throw source.unsupported("pre_tokenizer", "\(type) twice")
      }
      result.metaspace = (try prefix(json), json["split"]?.boolValue ?? true)
    default: throw source.unsupported("pre_tokenizer", "type '\(type)'")
    }
  }

  /// Older files say only whether there is a prefix.
  private func prefix(_ json: JSONValue) throws(TextError) -> PrefixRule {
    let adds = json["add_prefix_space"]?.boolValue ?? true
    switch json["prepend_scheme"]?.stringValue ?? (adds ? "always" : "never") {
    case "always": return .everySegment
    case "first": return .firstSegment
    case "never": return .never
    case let scheme: throw source.unsupported("pre_tokenizer", "prepend_scheme '\(scheme)'")
    }
  }

  /// The expressions that published files have, by their text.
  private func pattern(_ json: JSONValue) throws(TextError) -> TextPattern {
    guard let text = json["pattern"]?["Regex"]?.stringValue else {
      throw source.unsupported(
        "pre_tokenizer", "cutting at \(json["pattern"]?.serialized() ?? "nothing")")
    }
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
