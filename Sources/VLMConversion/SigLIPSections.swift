import VLMContainer
import VLMFoundation
import VLMModels
import VLMText

extension SourceDescriptions {
  /// The tokenizer of a text tower whose texts have the ends that the tokenizer gives them: SigLIP's.
  ///
  /// transformers reads `spiece.model` with `SiglipTokenizer`, and SigLIP 2's `tokenizer.json`, which is
  /// Gemma's. open_clip reads a `tokenizer.json`, and says what is done to a text before.
  mutating func sigLIPSections(
    _ tower: TextTowerConfig, _ description: JSONValue?, notes: inout [Note]
  ) throws -> [SectionKind: [UInt8]] {
    let openCLIP = (description?["model_cfg"] ?? description)?["text_cfg"]
    let json = try tokenizerJSON("tokenizer.json")
    let configuration = try read("tokenizer_config.json")
    let settings = try TokenizerSettings(
      configuration: configuration, specialTokens: try read("special_tokens_map.json"),
      addedTokens: try read("added_tokens.json"), alongside: json?.value,
      model: openCLIP == nil ? description : nil, folder: folderPath("")
    ).padding
    let lowers = configuration?["do_lower_case"]?.boolValue ?? true
    let isSiglip = openCLIP == nil && settings.kind == "SiglipTokenizer"
    let tokenizer: Tokenizer
    let file: String
    if isSiglip, let model = try bytes("spiece.model") {
      file = model.file
      tokenizer = try Tokenizer(
        siglip: model.bytes, lowers: lowers, settings: settings, file: file, notes: &notes)
    } else if let json {
      file = json.file
      let cleaning: TextCleaning =
        openCLIP.map(TextCleaning.init(openCLIP:))
        ?? (isSiglip ? (lowers ? .canonical : .canonicalCased) : .none)
      tokenizer = try Tokenizer(
        tokenizerJSON: json.value, cleaning: cleaning, settings: settings, file: file,
        notes: &notes)
    } else {
      notes.append(
        "no spiece.model or tokenizer.json beside the weights: the text tower takes token ids only")
      return [:]
    }
    try tokenizer.requireRows(tower.vocabulary, file: file)
    return [.tokenizer: tokenizer.serialized()]
  }
}

extension TextCleaning {
  /// What `text_cfg` of open_clip says, or what its `HFTokenizer` does by itself.
  fileprivate init(openCLIP text: JSONValue) {
    switch text["tokenizer_kwargs"]?["clean"]?.stringValue {
    case "canonicalize": self = .openCLIPCanonical
    case "lower": self = .openCLIPLower
    default: self = .openCLIPSpaces
    }
  }
}
