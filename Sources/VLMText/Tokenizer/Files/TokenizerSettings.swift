import VLMFoundation

/// The settings in the files beside a tokenizer's own file in a transformers folder:
/// `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`, and as fallbacks
/// `config.json` and `generation_config.json`.
///
/// They are interpreted as in transformers 4.57.
package struct TokenizerSettings: Sendable {
  /// A token that one of the files adds to the vocabulary.
  struct Token: Sendable, Equatable {
    /// The id stated by the file; nil to append.
    let id: Int?
    let content: String
    let flags: AddedToken.Flags
    /// Whether the existing piece with this id may have another text.
    var replaces = true
  }

  /// The special token roles, with their names in these files.
  enum Role: String, CaseIterable, Sendable {
    case bos = "bos_token"
    case eos = "eos_token"
    case unknown = "unk_token"
    case padding = "pad_token"
  }

  /// The file that adds the tokens, for errors.
  let file: String
  /// The added tokens: those with an id first, in order of id.
  let tokens: [Token]
  private let names: [Role: String]
  private let ids: [Role: Int]
  private let addsBOS: Bool?
  private let addsEOS: Bool?
  private let paddingSide: String?
  /// Whether padding stands before a text: of interest to text towers alone, which are given as many
  /// tokens for any text.
  private var padsLeft = false
  /// The tokenizer class that transformers uses for the folder, without `Fast`.
  package let kind: String

  /// - Parameters:
  ///   - configuration: `tokenizer_config.json`, followed by the other files; nil for absent ones.
  ///   - alongside: a `tokenizer.json` beside a `tokenizer.model`, whose added tokens are included.
  ///   - folder: the prefix of file names in errors.
  package init(
    configuration: JSONValue?, specialTokens: JSONValue? = nil, addedTokens: JSONValue? = nil,
    alongside: JSONValue? = nil, model: JSONValue? = nil, generation: JSONValue? = nil,
    folder: String = ""
  ) throws(TextError) {
    let declared = configuration?["added_tokens_decoder"]?.objectValue
    file = folder + (declared == nil ? "added_tokens.json" : "tokenizer_config.json")
    // If `tokenizer_config.json` has a list of tokens, transformers ignores the two older files.
    let older = declared == nil ? specialTokens : nil
    func value(_ key: String) -> JSONValue? {
      let found = older?[key] ?? configuration?[key] ?? specialTokens?[key]
      return found.flatMap { $0.isNull ? nil : $0 }
    }
    var special: [Token] = []
    for key in Self.roles {
      let values = value(key).map { $0.arrayValue ?? [$0] } ?? []
      for value in values {
        if let token = Self.token(value, id: nil, isSpecial: true) { special.append(token) }
      }
    }
    let specialTexts = Set(special.map { ExactString($0.content) })
    var tokens: [Token] = []
    for member in declared?.members ?? [] {
      guard let id = Int(member.key), let token = Self.token(member.value, id: id) else {
        throw Self.failure(file, "added_tokens_decoder: '\(member.key)'", member.value)
      }
      tokens.append(token)
    }
    if declared == nil {
      for member in addedTokens?.objectValue?.members ?? [] {
        guard let id = member.value.intValue, !member.key.isEmpty else {
          throw Self.failure(file, "'\(member.key)'", member.value)
        }
        let isSpecial = specialTexts.contains(ExactString(member.key))
        tokens.append(
          Token(id: id, content: member.key, flags: isSpecial ? .special : .normalized))
      }
    }
    var texts = Set(tokens.map { ExactString($0.content) })
    var places = Set(tokens.map(\.id))
    for entry in alongside?["added_tokens"]?.arrayValue ?? [] {
      guard var token = Self.token(entry, id: entry["id"]?.intValue), token.id != nil,
        !places.contains(token.id), texts.insert(ExactString(token.content)).inserted
      else { continue }
      places.insert(token.id)
      token.replaces = false
      tokens.append(token)
    }
    tokens.sort { ($0.id ?? .max) < ($1.id ?? .max) }
    for token in special where texts.insert(ExactString(token.content)).inserted {
      tokens.append(token)
    }
    self.tokens = tokens
    var names: [Role: String] = [:]
    var ids: [Role: Int] = [:]
    for role in Role.allCases {
      names[role] = value(role.rawValue).flatMap { $0.stringValue ?? $0["content"]?.stringValue }
      let key = role.rawValue + "_id"
      ids[role] = Self.id(generation?[key]) ?? Self.id(model?[key])
    }
    (self.names, self.ids) = (names, ids)
    addsBOS = configuration?["add_bos_token"]?.boolValue
    addsEOS = configuration?["add_eos_token"]?.boolValue
    paddingSide =
      configuration?["padding_side"]?.stringValue
      ?? alongside?["padding"]?["direction"]?.stringValue?.lowercased()
    kind = Self.kind(configuration, model)
  }

  private static let roles =
    Role.allCases.map(\.rawValue)
    + ["sep_token", "cls_token", "mask_token", "additional_special_tokens"]

  private static func failure(_ file: String, _ place: String, _ found: JSONValue) -> TextError {
    TextError(
      file: file, place: place, .value(found: found.serialized(), expected: "an id and a text"))
  }

  /// The first one if a model has several.
  private static func id(_ json: JSONValue?) -> Int? {
    json?.intValue ?? json?.arrayValue?.first?.intValue
  }

  /// A token given as text, or as an object with flags.
  static func token(_ json: JSONValue, id: Int?, isSpecial: Bool = false) -> Token? {
    if let content = json.stringValue {
      return content.isEmpty ? nil : Token(id: id, content: content, flags: .special)
    }
    guard let content = json["content"]?.stringValue, !content.isEmpty else { return nil }
    var flags = AddedToken.Flags(json: json)
    if isSpecial { flags.insert(.special) }
    return Token(id: id, content: content, flags: flags)
  }

  private static func kind(_ configuration: JSONValue?, _ model: JSONValue?) -> String {
    let stated =
      configuration?["tokenizer_class"]?.stringValue ?? model?["tokenizer_class"]?.stringValue
    // transformers has its own class for these, whatever the files say.
    if model?["model_type"]?.stringValue == "siglip2" { return "Siglip2Tokenizer" }
    if let stated { return stated.hasSuffix("Fast") ? String(stated.dropLast(4)) : stated }
    switch model?["model_type"]?.stringValue {
    case "llama", "llava", "mistral", "mixtral", "llava_llama": return "LlamaTokenizer"
    case "qwen2", "qwen3": return "Qwen2Tokenizer"
    case "gpt2": return "GPT2Tokenizer"
    case "clip", "clip_text_model": return "CLIPTokenizer"
    case "siglip": return "SiglipTokenizer"
    default: return ""
    }
  }

  // MARK: Use

  /// The same for a text tower, whose texts are padded.
  package var padding: TokenizerSettings {
    let isLeft = ["GemmaTokenizer", "Siglip2Tokenizer"].contains(kind)
    var result = self
    result.padsLeft = (paddingSide ?? (isLeft ? "left" : "right")) == "left"
    return result
  }

  /// Whether the settings files determine BOS and EOS for this class, regardless of the
  /// post-processor; nil if the post-processor determines them.
  private var ends: (bos: Bool, eos: Bool)? {
    switch kind {
    case "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer":
      (addsBOS ?? true, addsEOS ?? false)
    case "GPTNeoXTokenizer": (addsBOS ?? false, addsEOS ?? false)
    case "SiglipTokenizer": (false, true)
    case "Siglip2Tokenizer":
      addsBOS == nil && addsEOS == nil ? nil : (addsBOS ?? false, addsEOS ?? false)
    default: nil
    }
  }

  /// The class's default text of a token that no file names.
  private func defaultName(_ role: Role) -> String? {
    switch (kind, role) {
    case ("GemmaTokenizer", .bos): "<bos>"
    case ("GemmaTokenizer", .eos): "<eos>"
    case ("CohereTokenizer", .bos): "<BOS_TOKEN>"
    case ("CohereTokenizer", .eos): "<|END_OF_TURN_TOKEN|>"
    case ("GPTNeoXTokenizer", .bos), ("GPTNeoXTokenizer", .eos): "<|endoftext|>"
    case ("SiglipTokenizer", .eos), ("SiglipTokenizer", .padding): "</s>"
    case ("SiglipTokenizer", .unknown): "<unk>"
    case ("LlamaTokenizer", .bos), ("CodeLlamaTokenizer", .bos): "<s>"
    case ("LlamaTokenizer", .eos), ("CodeLlamaTokenizer", .eos): "</s>"
    default: nil
    }
  }

  /// Applies the settings to a tokenizer's parts.
  ///
  /// - Parameters:
  ///   - places: whether a token gets the id stated by its file, as beside a SentencePiece model;
  ///     otherwise new tokens are appended, as beside a `tokenizer.json`.
  ///   - notes: receives notes for the user.
  func complete(
    _ parts: inout TokenizerParts, places: Bool, notes: inout [Note]
  ) throws(TextError) {
    let ends = ends ?? (places ? (addsBOS ?? true, addsEOS ?? false) : nil)
    let own = parts.ends.count
    var vocabulary = AddedVocabulary(parts)
    for token in tokens {
      let known = vocabulary.id(token.content)
      if !places, let known, vocabulary.isAdded(known) { continue }
      if !token.replaces, let id = token.id, id < own, id != known { continue }
      let id = places ? token.id ?? known ?? vocabulary.count : known ?? vocabulary.count
      if let stated = token.id, stated != id {
        notes.append(
          "\(file) gives '\(token.content)' the id \(stated); transformers makes it \(id)")
      }
      var flags = token.flags
      // Only the older implementation of `legacy` normalises text before searching tokens.
      if places, parts.prefix != .everySegment { flags.remove(.normalized) }
      guard vocabulary.set(id, token.content, flags) else {
        throw TextError(
          file: file, place: "'\(token.content)'",
          .value(found: "id \(id)", expected: "below \(TokenizerParts.maximumPieces)"))
      }
    }
    if !tokens.isEmpty { vocabulary.write(&parts) }
    func id(_ role: Role) -> Int? {
      (names[role] ?? (ends == nil ? nil : defaultName(role))).flatMap { vocabulary.id($0) }
    }
    // Without a rule of the class, the post-processor determines BOS and EOS.
    if ends != nil || !parts.flags.contains(.addsBOS) { parts.bos = id(.bos) ?? parts.bos }
    if ends != nil || !parts.flags.contains(.addsEOS) { parts.eos = id(.eos) ?? parts.eos }
    parts.unknown = parts.unknown ?? (parts.algorithm == .byteMerges ? nil : id(.unknown))
    parts.pad = id(.padding) ?? parts.pad
    if kind == "Siglip2Tokenizer", !parts.normalizations.contains(.lowercased) {
      parts.normalizations.insert(.lowercased, at: 0)
    }
    if padsLeft { parts.flags.insert(.padsLeft) }
    if let ends {
      set(.addsBOS, ends.bos, id(.bos), .bos, &parts, &notes)
      set(.addsEOS, ends.eos, id(.eos), .eos, &parts, &notes)
    }
    func given(_ role: Role) -> Int? {
      ids[role].flatMap { parts.ends.indices.contains($0) ? $0 : nil }
    }
    parts.bos = parts.bos ?? given(.bos)
    parts.eos = parts.eos ?? given(.eos)
    parts.pad = parts.pad ?? given(.padding)
  }

  private func set(
    _ flag: TokenizerParts.Flags, _ isSet: Bool, _ id: Int?, _ role: Role,
    _ parts: inout TokenizerParts, _ notes: inout [Note]
  ) {
    guard isSet else {
      parts.flags.remove(flag)
      return
    }
    if id != nil {
      parts.flags.insert(flag)
    } else if !parts.flags.contains(flag) {
      notes.append(
        "\(kind.isEmpty ? "the tokenizer" : kind) puts \(role.rawValue) at an end of each text, but the vocabulary has none"
      )
    }
  }
}

extension AddedToken.Flags {
  /// Reads the object that describes an added token in `tokenizer.json` and
  /// `tokenizer_config.json`.
  init(json: JSONValue) {
    self = []
    if json["special"]?.boolValue == true { insert(.special) }
    if json["lstrip"]?.boolValue == true { insert(.stripsLeft) }
    if json["rstrip"]?.boolValue == true { insert(.stripsRight) }
    if json["single_word"]?.boolValue == true { insert(.singleWord) }
    if json["normalized"]?.boolValue ?? !contains(.special) { insert(.normalized) }
  }
}

/// A vocabulary to which tokens are being added. Pieces may change their text, and ids may be
/// skipped.
private struct AddedVocabulary {
  private var ids: [[UInt8]: Int] = [:]
  private var flags: [Int: AddedToken.Flags]
  private var contents: [Int: [UInt8]] = [:]
  private(set) var count: Int

  init(_ parts: TokenizerParts) {
    count = parts.ends.count
    flags = Dictionary(parts.added.map { ($0.id, $0.flags) }, uniquingKeysWith: { $1 })
    ids.reserveCapacity(count)
    var start = 0
    for (id, end) in parts.ends.enumerated() {
      let piece = Array(parts.text[start..<Int(end)])
      start = Int(end)
      // Byte-level pieces are stored with mapped characters; added tokens are plain text.
      if ids[piece] == nil, !piece.isEmpty { ids[piece] = id }
    }
  }

  func id(_ content: String) -> Int? { ids[Array(content.utf8)] }

  func isAdded(_ id: Int) -> Bool { flags[id] != nil }

  /// - Returns: false if the id exceeds the limits.
  mutating func set(_ id: Int, _ content: String, _ flags: AddedToken.Flags) -> Bool {
    guard (0..<TokenizerParts.maximumPieces).contains(id) else { return false }
    let bytes = Array(content.utf8)
    self.flags[id] = flags
    if ids[bytes] != id {
      contents[id] = bytes
      ids[bytes] = id
    }
    count = max(count, id + 1)
    return true
  }

  /// Unused ids become pieces without text, which are never found.
  func write(_ parts: inout TokenizerParts) {
    if !contents.isEmpty {
      let old = parts
      (parts.text, parts.ends, parts.kinds) = ([], [], [])
      for id in 0..<count {
        if let content = contents[id] {
          parts.append(content, .control)
        } else if id < old.ends.count {
          let start = id == 0 ? 0 : Int(old.ends[id - 1])
          parts.append(old.text[start..<Int(old.ends[id])], old.kinds[id])
        } else {
          parts.append([], .unused)
        }
      }
      if parts.algorithm.hasScores {
        parts.scores += [Float](repeating: 0, count: count - parts.scores.count)
      }
    }
    for (id, flags) in flags where parts.kinds[id] == .normal && flags.contains(.special) {
      parts.kinds[id] = .control
    }
    parts.added = flags.map { AddedToken(id: $0.key, flags: $0.value) }.sorted { $0.id < $1.id }
  }
}
