import VLMFoundation

extension Tokenizer {
  /// Reads the tokenizer in the metadata of a GGUF file.
  ///
  /// - Parameters:
  ///   - metadata: returns the value of a key such as `tokenizer.ggml.tokens`; nil if absent.
  ///     Arrays are `.array` of strings, numbers or booleans.
  ///   - notes: receives notes for the user about assumptions.
  package init(
    ggufMetadata metadata: @escaping (_ key: String) -> JSONValue?, file: String,
    notes: inout [Note]
  ) throws(TextError) {
    let reader = TokenizerGGUF(metadata: metadata, file: file)
    try self.init(try reader.parts(&notes), file: file)
  }
}

/// Reads the keys `tokenizer.ggml.*`.
struct TokenizerGGUF {
  let metadata: (String) -> JSONValue?
  let file: String

  func value(_ key: String) -> JSONValue? { metadata("tokenizer.ggml." + key) }

  private func failure(_ key: String, _ found: String, _ expected: String) -> TextError {
    TextError(
      file: file, place: "tokenizer.ggml." + key, .value(found: found, expected: expected))
  }

  private func id(_ key: String) -> Int? { value(key)?.intValue }

  func parts(_ notes: inout [Note]) throws(TextError) -> TokenizerParts {
    guard let model = value("model")?.stringValue else {
      throw TextError(file: file, place: "tokenizer.ggml.model", .missing)
    }
    guard let tokens = value("tokens")?.arrayValue, !tokens.isEmpty else {
      throw TextError(file: file, place: "tokenizer.ggml.tokens", .missing)
    }
    guard tokens.count <= TokenizerParts.maximumPieces else {
      throw failure("tokens", "\(tokens.count)", "at most \(TokenizerParts.maximumPieces)")
    }
    let kinds = value("token_type")?.arrayValue ?? []
    guard kinds.isEmpty || kinds.count == tokens.count else {
      throw failure("token_type", "\(kinds.count)", "\(tokens.count), one per token")
    }
    var parts: TokenizerParts
    switch model {
    case "llama": parts = TokenizerParts(.scores)
    case "gpt2": parts = TokenizerParts(.byteMerges)
    default:
      throw TextError(
        file: file, place: "tokenizer.ggml.model", .unsupported("model '\(model)'"))
    }
    try readTokens(tokens, kinds, &parts)
    (parts.bos, parts.eos) = (id("bos_token_id"), id("eos_token_id"))
    (parts.unknown, parts.pad) = (id("unknown_token_id"), id("padding_token_id"))
    if parts.algorithm == .scores {
      try readScores(&parts)
      parts.bos = parts.bos ?? 1
      parts.eos = parts.eos ?? 2
      parts.unknown = parts.unknown ?? 0
    } else {
      try readMerges(tokens, &parts)
      try readWords(&parts, &notes)
    }
    // Old files often have a padding id beyond the vocabulary.
    if let pad = parts.pad, !parts.ends.indices.contains(pad) { parts.pad = nil }
    if value("add_bos_token")?.boolValue ?? (parts.algorithm == .scores) {
      parts.flags.insert(.addsBOS)
    }
    if value("add_eos_token")?.boolValue ?? false { parts.flags.insert(.addsEOS) }
    return parts
  }

  private func readTokens(
    _ tokens: [JSONValue], _ kinds: [JSONValue], _ parts: inout TokenizerParts
  ) throws(TextError) {
    for (index, token) in tokens.enumerated() {
      guard let text = token.stringValue else {
        throw failure("tokens[\(index)]", token.kind, "a string")
      }
      var kind = PieceKind.normal
      if !kinds.isEmpty {
        let code = kinds[index].intValue ?? 0
        // Early converters write 0 for "undefined".
        guard let known = code == 0 ? .normal : UInt8(exactly: code).flatMap(PieceKind.init) else {
          throw failure("token_type[\(index)]", "\(code)", "1 to 6")
        }
        kind = known
      }
      if parts.algorithm == .scores {
        if kind == .byte, Tokenizer.byteValue(text.utf8) == nil {
          throw failure("tokens[\(index)]", "'\(text)'", "<0x00> to <0xFF>, as its type says")
        }
        parts.append(text.utf8, kind)
      } else if kind == .normal {
        parts.append(ByteLevelText.bytes(of: text), .normal)
      } else {
        parts.append(text.utf8, kind == .userDefined || kind == .unknown ? .control : kind)
      }
      guard parts.text.count <= TokenizerParts.maximumText else {
        throw failure("tokens", "more text", "at most \(TokenizerParts.maximumText) bytes")
      }
      if !text.isEmpty, kind == .control || kind == .unknown {
        parts.added.append(AddedToken(id: index, flags: .special))
      } else if !text.isEmpty, kind == .userDefined, parts.algorithm != .scores {
        parts.added.append(AddedToken(id: index, flags: []))
      }
    }
  }

  private func readScores(_ parts: inout TokenizerParts) throws(TextError) {
    guard let scores = value("scores")?.arrayValue, scores.count == parts.ends.count else {
      let found = value("scores")?.arrayValue.map { "\($0.count)" } ?? "none"
      throw failure("scores", found, "\(parts.ends.count), one per token")
    }
    parts.scores = scores.map { Float($0.doubleValue ?? .nan) }
    if value("precompiled_charsmap")?.arrayValue.map({ !$0.isEmpty }) == true {
      throw TextError(
        file: file, place: "tokenizer.ggml.precompiled_charsmap",
        .unsupported("a character map"))
    }
    if parts.kinds.contains(.byte) { parts.flags.insert(.byteFallback) }
    parts.flags.insert(.fusesUnknown)
    if value("remove_extra_whitespaces")?.boolValue == true {
      parts.flags.insert(.removesExtraSpaces)
    }
    parts.prefix = value("add_space_prefix")?.boolValue ?? true ? .everySegment : .never
  }

  private func readMerges(
    _ tokens: [JSONValue], _ parts: inout TokenizerParts
  ) throws(TextError) {
    guard let merges = value("merges")?.arrayValue else {
      throw TextError(file: file, place: "tokenizer.ggml.merges", .missing)
    }
    var ids: [ExactString: UInt32] = [:]
    ids.reserveCapacity(tokens.count)
    for (index, token) in tokens.enumerated() {
      let key = ExactString(token.stringValue ?? "")
      if ids[key] == nil { ids[key] = UInt32(index) }
    }
    parts.merges.reserveCapacity(merges.count)
    for (rank, entry) in merges.enumerated() {
      let text = entry.stringValue ?? ""
      // Spaces in pieces are mapped characters, so the first plain space is the separator.
      let space = text.utf8.dropFirst().firstIndex(of: 0x20)
      guard let space,
        case let (left, right) = (text[..<space], text[text.utf8.index(after: space)...]),
        let a = ids[ExactString(String(left))], let b = ids[ExactString(String(right))],
        let c = ids[ExactString(String(left + right))]
      else {
        throw failure("merges[\(rank)]", "'\(text)'", "two tokens that make a third")
      }
      parts.merges.append(.init(left: a, right: b, result: c))
    }
  }
}
