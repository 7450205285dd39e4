import VLMFoundation

/// Reads `normalizer`: Unicode normalization forms, and the normalizers of converted SentencePiece
/// and CLIP models.
struct NormalizerJSON {
  struct Result {
    var normalizations: [TextNormalization] = []
    /// Whether U+2581 is prepended to each segment; whether spaces become U+2581.
    var prepends = false
    var marksSpaces = false
    /// What `.mapped` replaces.
    var map: CharacterMap?
  }

  private let source: TokenizerJSON

  init(_ source: TokenizerJSON) { self.source = source }

  func read() throws(TextError) -> Result {
    var result = Result()
    guard let json = source.json["normalizer"], !json.isNull else { return result }
    let isCLIP = !(source.json["model"]?["end_of_word_suffix"]?.stringValue ?? "").isEmpty
    // `CLIPText` implements the normalizers of CLIP's files.
    try read(json, &result) { isCLIP && ["NFC", "Lowercase", "Replace"].contains($0) }
    return result
  }

  /// Sequences may be nested; the JSON parser limits the depth.
  private func read(
    _ json: JSONValue, _ result: inout Result, isKnown: (_ type: String) -> Bool
  ) throws(TextError) {
    let type = json["type"]?.stringValue ?? ""
    if type == "Sequence" {
      for stage in json["normalizers"]?.arrayValue ?? [] {
        try read(stage, &result, isKnown: isKnown)
      }
      return
    }
    if isKnown(type) { return }
    switch type {
    case "Prepend":
      guard json["prepend"]?.stringValue == "\u{2581}", !result.prepends else {
        throw unsupported(json)
      }
      result.prepends = true
    case "Precompiled":
      let bytes = json["precompiled_charsmap"]?.stringValue.flatMap { Base64.decode($0) }
      guard result.map == nil, let map = bytes.flatMap({ CharacterMap($0) }) else {
        throw source.unsupported("normalizer", "a character map that is none")
      }
      result.map = map
      result.normalizations.append(.mapped)
    // Runs of spaces become the mark that one space becomes.
    case "Replace" where json["pattern"]?["Regex"]?.stringValue == " {2,}":
      guard ["\u{2581}", " "].contains(json["content"]?.stringValue) else {
        throw unsupported(json)
      }
      result.normalizations.append(.collapsed)
    case "Replace":
      guard json["pattern"]?["String"]?.stringValue == " ",
        json["content"]?.stringValue == "\u{2581}"
      else { throw unsupported(json) }
      result.marksSpaces = true
    default:
      guard let normalizations = Self.normalizations(json, type) else {
        throw source.unsupported("normalizer", "type '\(type)'")
      }
      // `TokenizerParts.normalizations` are applied before these steps.
      guard !result.prepends, !result.marksSpaces else {
        throw source.unsupported("normalizer", "'\(type)' after spaces are marked")
      }
      result.normalizations += normalizations
    }
  }

  private func unsupported(_ json: JSONValue) -> TextError {
    source.unsupported("normalizer", json.serialized())
  }

  private static func normalizations(_ json: JSONValue, _ type: String) -> [TextNormalization]? {
    switch type {
    case "NFC": return [.composed]
    case "NFD": return [.decomposed]
    case "Lowercase": return [.lowercased]
    case "Strip":
      return (json["strip_left"]?.boolValue == true ? [.strippedLeft] : [])
        + (json["strip_right"]?.boolValue == true ? [.strippedRight] : [])
    default: return nil
    }
  }
}
