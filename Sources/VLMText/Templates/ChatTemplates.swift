import VLMFoundation

/// The chat templates stored with a model: Jinja programs by name.
///
/// Stored in the section `chat template` of a container, see `formats/vlmz.md`.
package struct ChatTemplates: Sendable, Equatable {
  package struct Program: Sendable, Equatable {
    package let name: String
    package let source: String

    package init(name: String, source: String) {
      self.name = name
      self.source = source
    }
  }

  /// A variable with the text of a special token, such as `bos_token`.
  package struct Token: Sendable, Equatable {
    package let name: String
    package let text: String

    package init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  /// The form of older files: the name of a built-in template or conversation mode, and the model's
  /// system message.
  package struct Family: Sendable, Equatable {
    package let name: String
    package let system: String?

    package init(name: String, system: String? = nil) {
      self.name = name
      self.system = system
    }
  }

  /// The template used by default.
  package static let defaultName = "default"

  package private(set) var programs: [Program]
  package var tokens: [Token]
  /// Whether BOS is prepended to prompts without it if the tokenizer says so, as in llama.cpp and
  /// the processors of transformers, but not in its tokenizers.
  package var addsBOS: Bool
  package let family: Family?

  package init(_ programs: [Program] = [], tokens: [Token] = [], addsBOS: Bool = false) {
    self.programs = []
    self.tokens = tokens
    self.addsBOS = addsBOS
    family = nil
    for program in programs { set(program) }
  }

  package var isEmpty: Bool { programs.isEmpty && family == nil }

  /// The template of this name.
  package subscript(name: String) -> Program? {
    programs.first { $0.name.hasSameBytes(as: name) }
  }

  /// Adds a template, or replaces the one of this name.
  package mutating func set(_ program: Program) {
    if let index = programs.firstIndex(where: { $0.name.hasSameBytes(as: program.name) }) {
      programs[index] = program
    } else {
      programs.append(program)
    }
  }

  /// The special-token variables: `tokens`, with defaults from the vocabulary.
  package func tokens(_ tokenizer: Tokenizer?) -> [Token] {
    guard let tokenizer, tokens.isEmpty else { return tokens }
    let ids = [
      ("bos_token", tokenizer.bos), ("eos_token", tokenizer.eos),
      ("unk_token", tokenizer.unknown), ("pad_token", tokenizer.pad),
    ]
    return ids.compactMap { name, id in
      id.flatMap { tokenizer.piece($0) }.map { Token(name: name, text: $0) }
    }
  }

  /// Whether the vocabulary has tokens that are only used by chat templates.
  package static func hasChatTokens(_ tokenizer: Tokenizer) -> Bool {
    let marks = [
      "<|im_start|>", "<|start_header_id|>", "<|header_start|>", "<start_of_turn>", "[INST]",
      "<|user|>", "<|assistant|>", "<|end_of_turn|>", "<|start_of_role|>", "<\u{ff5c}User\u{ff5c}>",
    ]
    return marks.contains { tokenizer.addedToken($0) != nil }
  }
}

// MARK: - The section

extension ChatTemplates {
  /// The highest version that this build reads, and the version that it writes.
  static let version = 2
  /// Maximum number of templates per model. Published models have up to four.
  package static let maximumPrograms = 64

  package var json: JSONValue {
    var object = JSONObject()
    guard family == nil else { return older }
    object.set("version", .int(Self.version))
    if let source = self[Self.defaultName]?.source { object.set("source", .string(source)) }
    let named = programs.filter { !$0.name.hasSameBytes(as: Self.defaultName) }
    if !named.isEmpty {
      object.set(
        "named",
        .array(named.map { ["name": .string($0.name), "source": .string($0.source)] }))
    }
    var texts = JSONObject()
    for token in tokens { texts.set(token.name, .string(token.text)) }
    object.set("tokens", .object(texts))
    object.set("adds_bos", .bool(addsBOS))
    return .object(object)
  }

  /// An older form is written back unchanged.
  private var older: JSONValue {
    var object = JSONObject()
    if let family {
      object.set("template", .string(family.name))
      if let system = family.system { object.set("system", .string(system)) }
    }
    if let source = self[Self.defaultName]?.source { object.set("source", .string(source)) }
    return .object(object)
  }

  /// Parses a section.
  ///
  /// - Throws: `TextError` if it is invalid, has a newer version, or names a template that this
  ///   build does not have.
  package init(json: JSONValue, file: String) throws(TextError) {
    let reader = Reader(file: file)
    let version = try reader.integer(json, "version") ?? 1
    guard (1...Self.version).contains(version) else {
      throw reader.error("version", "\(version)", "1 to \(Self.version)")
    }
    var programs: [Program] = []
    if let source = try reader.text(json, "source") {
      programs.append(Program(name: Self.defaultName, source: source))
    }
    var tokens: [Token] = []
    if version == 1 {
      family = try Self.family(json, reader, isNeeded: programs.isEmpty)
      addsBOS = true
    } else {
      family = nil
      addsBOS = try reader.bool(json, "adds_bos") ?? false
      programs += try reader.programs(json)
      for member in try reader.members(json, "tokens") {
        guard let text = member.value.stringValue else {
          throw reader.error("tokens", member.value.kindWithArticle, "texts")
        }
        tokens.append(Token(name: member.key, text: text))
      }
    }
    self.programs = programs
    self.tokens = tokens
  }

  private static func family(
    _ json: JSONValue, _ reader: Reader, isNeeded: Bool
  ) throws(TextError) -> Family? {
    guard let name = try reader.text(json, "template") else { return nil }
    let isKnown = ConversationTemplate.named(name) != nil || ChatTemplate.builtIn(name) != nil
    guard isKnown || !isNeeded else {
      throw TextError(
        file: reader.file, place: "chat template",
        .value(
          found: "'\(name)'",
          expected: "one of "
            + (ConversationTemplate.names + ChatTemplate.builtInNames).joined(separator: ", ")))
    }
    return isKnown ? Family(name: name, system: try reader.text(json, "system")) : nil
  }

  /// Reads the fields of a section.
  private struct Reader {
    let file: String

    func error(_ field: String, _ found: String, _ expected: String) -> TextError {
      TextError(
        file: file, place: "chat template: \(field)", .value(found: found, expected: expected))
    }

    private func value(_ json: JSONValue, _ field: String) throws(TextError) -> JSONValue? {
      guard let object = json.objectValue else {
        throw TextError(
          file: file, place: "chat template",
          .value(found: json.kindWithArticle, expected: "an object"))
      }
      return object[field].flatMap { $0.isNull ? nil : $0 }
    }

    func text(_ json: JSONValue, _ field: String) throws(TextError) -> String? {
      guard let value = try value(json, field) else { return nil }
      guard let text = value.stringValue else {
        throw error(field, value.kindWithArticle, "a text")
      }
      return text
    }

    func integer(_ json: JSONValue, _ field: String) throws(TextError) -> Int? {
      guard let value = try value(json, field) else { return nil }
      guard let number = value.intValue else {
        throw error(field, value.kindWithArticle, "an integer")
      }
      return number
    }

    func bool(_ json: JSONValue, _ field: String) throws(TextError) -> Bool? {
      guard let value = try value(json, field) else { return nil }
      guard let flag = value.boolValue else {
        throw error(field, value.kindWithArticle, "true or false")
      }
      return flag
    }

    func members(_ json: JSONValue, _ field: String) throws(TextError) -> [JSONObject.Member] {
      guard let value = try value(json, field) else { return [] }
      guard let object = value.objectValue else {
        throw error(field, value.kindWithArticle, "an object")
      }
      return object.members
    }

    func programs(_ json: JSONValue) throws(TextError) -> [Program] {
      guard let value = try value(json, "named") else { return [] }
      guard let elements = value.arrayValue, elements.count < ChatTemplates.maximumPrograms else {
        throw error(
          "named", value.arrayValue.map { "\($0.count)" } ?? value.kindWithArticle,
          "an array of fewer than \(ChatTemplates.maximumPrograms)")
      }
      var programs: [Program] = []
      for element in elements {
        guard let name = element["name"]?.stringValue, let source = element["source"]?.stringValue
        else { throw error("named", element.kindWithArticle, "objects of name and source") }
        guard name != ChatTemplates.defaultName, !programs.contains(where: { $0.name == name })
        else { throw error("named", "'\(name)' twice", "each name once") }
        programs.append(Program(name: name, source: source))
      }
      return programs
    }
  }
}
