import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

extension SourceDescriptions {
  /// What a language model needs beside its weights: tokenizer, chat template, ways to generate.
  ///
  /// - Parameters:
  ///   - gguf: the metadata of a GGUF file, which holds it all.
  ///   - config: `config.json`.
  ///   - kind: the model; one that sees pictures needs no chat template.
  mutating func languageSections(
    gguf: GGUFMetadata?, file: String, config: JSONValue?, of kind: ModelDescription,
    notes: inout [Note]
  ) throws -> [SectionKind: [UInt8]] {
    let (seesPictures, rows) = (kind.seesPictures, kind.language?.vocabulary)
    if let gguf {
      return try Self.sections(
        of: gguf, file: file, seesPictures: seesPictures, rows: rows, notes: &notes)
    }
    var sections: [SectionKind: [UInt8]] = [:]
    let settings = try read("tokenizer_config.json")
    let generation = try read("generation_config.json")
    var defaults = try GenerationDefaults(huggingFace: generation, config: config)
    let tokenizer = try tokenizer(settings, config, generation, &notes)
    if let tokenizer {
      sections[.tokenizer] = tokenizer.serialized()
      try tokenizer.requireRows(rows, file: folder)
      // By its name, where no file has an id.
      if defaults.stopTokens.isEmpty, let eos = tokenizer.eos { defaults.stopTokens = [eos] }
    } else {
      notes.append(Self.untold("no tokenizer.model or tokenizer.json"))
    }
    sections[.generationConfig] = Array(defaults.json.serialized().utf8)
    let templates = try chatTemplates(
      settings, tokenizer, seesPictures: seesPictures, notes: &notes)
    sections[.chatTemplate] = Self.section(
      templates, tokenizer, seesPictures: seesPictures, notes: &notes)
    return sections
  }

  /// The tokenizer of a text tower: `tokenizer.json` of the hub's folders, or else CLIP's own where
  /// the tower has its vocabulary and the description names no other. open_clip's files bring none.
  mutating func textTowerSections(
    _ tower: TextTowerConfig, _ description: JSONValue?, notes: inout [Note]
  ) throws -> [SectionKind: [UInt8]] {
    if tower.hasOwnEnds { return try sigLIPSections(tower, description, notes: &notes) }
    func section(_ tokenizer: Tokenizer, _ file: String) throws -> [SectionKind: [UInt8]] {
      try tokenizer.requireRows(tower.vocabulary, file: file)
      return [.tokenizer: tokenizer.serialized()]
    }
    if let (bytes, file) = try bytes("tokenizer.json") {
      return try section(Tokenizer(tokenizerJSON: bytes, file: file), file)
    }
    let named = try TokenizerSettings(configuration: nil, model: ["model_type": "clip"])
    if let (value, file) = try vocabularyAndMerges(named, nil) {
      return try section(Tokenizer(tokenizerJSON: value, file: file), file)
    }
    let settings = (description?["model_cfg"] ?? description)?["text_cfg"]
    let isOther = ["hf_tokenizer_name", "tokenizer_kwargs"].contains { key in
      settings?[key].map { !$0.isNull && $0.objectValue?.members.isEmpty != true } ?? false
    }
    guard tower.vocabulary == CLIPVocabulary.count, !isOther else {
      notes.append(
        "no tokenizer.json, and the text tower's is not CLIP's: it takes token ids only")
      return [:]
    }
    return [.tokenizer: try CLIPVocabulary.tokenizer(context: tower.contextLength).serialized()]
  }

  /// What follows of a language model without a tokenizer, and what to do.
  static func untold(_ reason: String) -> String {
    reason
      + ": nothing can be asked of the model; copy tokenizer.json and tokenizer_config.json of "
      + "the model that it was made from beside the weights and convert again"
  }

  private static let maximumTokenizerBytes = 256 << 20

  /// `tokenizer.model`, which upstream's own code reads for LLaMA, or else `tokenizer.json`, or
  /// `vocab.json` with `merges.txt`; with what the files beside it say.
  private mutating func tokenizer(
    _ configuration: JSONValue?, _ config: JSONValue?, _ generation: JSONValue?,
    _ notes: inout [Note]
  ) throws -> Tokenizer? {
    let json = try tokenizerJSON("tokenizer.json")
    var model = try bytes("tokenizer.model")
    if let (bytes, file) = model, Self.isRanks(bytes) {
      guard json != nil else {
        throw ConversionError(
          path: file,
          .option(
            "tokenizer.model", found: "tiktoken's list of ranks, as Llama 3 has it",
            expected: "a tokenizer.json beside it, as in the model's repository for transformers"))
      }
      model = nil
    }
    let settings = try TokenizerSettings(
      configuration: configuration, specialTokens: try read("special_tokens_map.json"),
      addedTokens: try read("added_tokens.json"), alongside: model == nil ? nil : json?.value,
      model: config, generation: generation, folder: folder + "/")
    if let (bytes, file) = model {
      return try Tokenizer(
        sentencePiece: bytes, prefix: Self.prefix(configuration, config), settings: settings,
        file: file, notes: &notes)
    }
    guard let (value, file) = try json ?? vocabularyAndMerges(settings, configuration) else {
      return nil
    }
    return try Tokenizer(tokenizerJSON: value, settings: settings, file: file, notes: &notes)
  }

  /// `vocab.json` and `merges.txt` as the `tokenizer.json` that transformers makes of them.
  private mutating func vocabularyAndMerges(
    _ settings: TokenizerSettings, _ configuration: JSONValue?
  ) throws -> (value: JSONValue, file: String)? {
    guard let (vocabulary, file) = try tokenizerJSON("vocab.json"),
      let merges = try bytes("merges.txt")
    else { return nil }
    let value = try TokenizerJSON.composed(
      vocabulary: vocabulary, merges: merges.bytes, kind: settings.kind,
      prefixesSpace: configuration?["add_prefix_space"]?.boolValue == true, file: file)
    return (value, file)
  }

  mutating func tokenizerJSON(
    _ name: String
  ) throws -> (value: JSONValue, file: String)? {
    guard let (bytes, file) = try bytes(name) else { return nil }
    do throws(JSONError) {
      return (try JSONValue.parse(bytes, limits: .file), file)
    } catch {
      throw TextError(file: file, place: "tokenizer", .json(error.description))
    }
  }

  /// Whether a file is tiktoken's: lines of a token in base64 and its rank.
  private static func isRanks(_ bytes: [UInt8]) -> Bool {
    let words = bytes.prefix(256).prefix { $0 != 0x0a }.split(separator: 0x20)
    guard words.count == 2 else { return false }
    return words[1].allSatisfy { (0x30...0x39).contains($0) }
      && words[0].allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2f, 0x3d: true
        default: false
        }
      }
  }

  /// Where the space before a text goes: `legacy` of `tokenizer_config.json`, which means something
  /// else since transformers 4.34.
  private static func prefix(_ settings: JSONValue?, _ config: JSONValue?) -> PrefixRule {
    if settings?["add_prefix_space"]?.boolValue == false { return .never }
    guard settings?["legacy"]?.boolValue == false else { return .everySegment }
    let version = config?["transformers_version"]?.stringValue ?? ""
    let numbers = version.split(separator: ".").prefix(2).compactMap { Int($0) }
    let isOld = numbers.count == 2 && (numbers[0], numbers[1]) < (4, 34)
    return isOld ? .strippedAfterFirst : .firstSegment
  }

  mutating func bytes(_ name: String) throws -> (bytes: [UInt8], file: String)? {
    guard let path = try path(of: name) else { return nil }
    let file = try MappedFile(path: path)
    try Self.requireFetched(file, expected: "a tokenizer's file")
    guard file.count <= Self.maximumTokenizerBytes else {
      throw ConversionError(
        path: path,
        .option(
          "size", found: "\(file.count) bytes", expected: "at most \(Self.maximumTokenizerBytes)"))
    }
    return (file.withBytes(0..<file.count) { Array($0) }, path)
  }

  private static func sections(
    of gguf: GGUFMetadata, file: String, seesPictures: Bool, rows: Int?, notes: inout [Note]
  ) throws -> [SectionKind: [UInt8]] {
    guard let kind = gguf["tokenizer.ggml.model"], kind.stringValue != "no_vocab" else {
      notes.append(
        "no tokenizer in the metadata: nothing can be asked of the model; convert a GGUF file that "
          + "has one")
      return [:]
    }
    let tokenizer = try Tokenizer(
      ggufMetadata: { gguf[$0]?.wholeJSON }, file: file, notes: &notes)
    let ends = ["eos_token_id", "eot_token_id", "eom_token_id"].compactMap {
      gguf["tokenizer.ggml." + $0]?.intValue
    }
    var sections: [SectionKind: [UInt8]] = [:]
    sections[.tokenizer] = tokenizer.serialized()
    try tokenizer.requireRows(rows, file: file)
    let unique = ends.enumerated().filter { ends[..<$0.offset].firstIndex(of: $0.element) == nil }
    let defaults = GenerationDefaults(stopTokens: unique.map(\.element))
    sections[.generationConfig] = Array(defaults.json.serialized().utf8)
    let templates = chatTemplates(of: gguf, tokenizer, notes: &notes)
    sections[.chatTemplate] = section(
      templates, tokenizer, seesPictures: seesPictures, notes: &notes)
    return sections
  }
}

extension Tokenizer {
  /// Refuses tokens whose ids are behind the table of embeddings: added without
  /// `resize_token_embeddings`, or another model's.
  func requireRows(_ rows: Int?, file: String) throws(ModelError) {
    guard let rows, let left = pieces(from: rows) else { return }
    throw ModelError(
      file: file,
      .tokenWithoutRow(token: left.first, id: left.id, others: left.count - 1, rows: rows))
  }
}
