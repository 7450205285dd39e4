import VLMFoundation

/// Reads `pre_tokenizer`.
struct PreTokenizerJSON {
  struct Result {
    var steps: [PreTokenizer.Step] = []
    var isByteLevel = false
    /// Metaspace: the rule for the leading space, and whether text is split at spaces.
    var metaspace: (prefix: PrefixRule, splits: Bool)?
  }

  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read() throws(TextError) -> Result {
    try read(source.json["pre_tokenizer"] ?? .null)
  }

  /// The same of one of its stages.
  func read(_ json: JSONValue) throws(TextError) -> Result {
    var result = Result()
    guard !json.isNull else { return result }
    try read(json, &result, isNested: false)
    return result
  }

  private func read(
    _ json: JSONValue, _ result: inout Result, isNested: Bool
  ) throws(TextError) {
    let type = json["type"]?.stringValue ?? ""
    // Steps after ByteLevel see mapped characters; ASCII digits map to themselves.
    if result.isByteLevel, !["Sequence", "ByteLevel", "Metaspace"].contains(type),
      !result.steps.contains(.byteMapping)
    {
      result.steps.append(.byteMapping)
    }
    switch type {
    case "Sequence" where !isNested:
      for stage in json["pretokenizers"]?.arrayValue ?? [] {
        try read(stage, &result, isNested: true)
      }
    case "ByteLevel":
      let adds = json["add_prefix_space"]?.boolValue == true
      let cuts = json["use_regex"]?.boolValue ?? true
      guard !result.isByteLevel || !adds && !cuts else {
        throw source.unsupported("pre_tokenizer", "\(type) twice")
      }
      result.isByteLevel = true
      if adds { result.steps.append(.prefixSpace) }
      if cuts { result.steps.append(.pattern(.gpt2)) }
    case "Digits":
      let single = json["individual_digits"]?.boolValue ?? false
      result.steps.append(single ? .singleDigits : .digitRuns)
    case "Split": result.steps.append(try split(json))
    case "Punctuation":
      result.steps.append(
        try expression(
          Self.punctuation, try behavior(json), isInverted: false))
    case "Whitespace":
      result.steps.append(
        try expression("[\(Self.word)]+|[^\(Self.word)\\s]+", .removed, isInverted: true))
    case "WhitespaceSplit":
      result.steps.append(try expression(#"\s"#, .removed, isInverted: false))
    case "BertPreTokenizer":
      result.steps.append(try expression(#"\s"#, .removed, isInverted: false))
      result.steps.append(try expression(Self.punctuation, .isolated, isInverted: false))
    case "CharDelimiterSplit":
      guard let delimiter = json["delimiter"]?.stringValue, !delimiter.isEmpty else {
        throw source.unsupported("pre_tokenizer", "\(type) without a delimiter")
      }
      result.steps.append(
        try expression(SplitExpression.literal(delimiter), .removed, isInverted: false))
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

  /// `\w` as defined by the `regex` crate.
  private static let word = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}"#
  private static let punctuation = #"[!-/:-@\[-`{-~\p{P}]"#

  /// Older files only state whether there is a prefix.
  private func prefix(_ json: JSONValue) throws(TextError) -> PrefixRule {
    let adds = json["add_prefix_space"]?.boolValue ?? true
    switch json["prepend_scheme"]?.stringValue ?? (adds ? "always" : "never") {
    case "always": return .everySegment
    case "first": return .firstSegment
    case "never": return .never
    case let scheme: throw source.unsupported("pre_tokenizer", "prepend_scheme '\(scheme)'")
    }
  }

  /// Recognises published expressions that are implemented as code; others are compiled.
  private func split(_ json: JSONValue) throws(TextError) -> PreTokenizer.Step {
    let regex = json["pattern"]?["Regex"]?.stringValue
    let literal = json["pattern"]?["String"]?.stringValue.map(SplitExpression.literal)
    guard let text = regex ?? literal else {
      throw source.unsupported(
        "pre_tokenizer", "cutting at \(json["pattern"]?.serialized() ?? "nothing")")
    }
    let behavior = try behavior(json)
    let isInverted = json["invert"]?.boolValue ?? false
    if let pattern = TextPattern.sources[text] {
      // These patterns cover the text, except CLIP's, which drops unmatched text.
      if pattern == .clip ? isInverted && behavior == .removed : behavior == .isolated {
        return .pattern(pattern)
      }
    }
    return try expression(text, behavior, isInverted: isInverted)
  }

  private func behavior(_ json: JSONValue) throws(TextError) -> SplitExpression.Behavior {
    switch json["behavior"]?.stringValue ?? "Isolated" {
    case "Isolated": return .isolated
    case "Removed": return .removed
    case "MergedWithPrevious": return .mergedWithPrevious
    case "MergedWithNext": return .mergedWithNext
    case "Contiguous": return .contiguous
    case let behavior: throw source.unsupported("pre_tokenizer", "behavior '\(behavior)'")
    }
  }

  private func expression(
    _ text: String, _ behavior: SplitExpression.Behavior, isInverted: Bool
  ) throws(TextError) -> PreTokenizer.Step {
    do throws(ExpressionProblem) {
      return .expression(try SplitExpression(text, behavior, isInverted: isInverted))
    } catch {
      throw source.unsupported("pre_tokenizer", "the expression \(text): \(error.text)")
    }
  }
}
