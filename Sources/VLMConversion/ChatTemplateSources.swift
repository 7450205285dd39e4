import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// Where a model's chat templates lie.
extension SourceDescriptions {
  private static let fileName = "chat_template.jinja"
  private static let processorFile = "chat_template.json"
  private static let folderName = "additional_chat_templates"

  /// The templates of a folder, as transformers takes them: of a text model its tokenizer's, of one
  /// with eyes its processor's, and where it has none what else is there.
  ///
  /// - Parameters:
  ///   - settings: `tokenizer_config.json`.
  ///   - tokenizer: for the texts of special tokens that no file states.
  ///   - seesPictures: whether prompts are made by a processor.
  mutating func chatTemplates(
    _ settings: JSONValue?, _ tokenizer: Tokenizer?, seesPictures: Bool, notes: inout [Note]
  ) throws -> ChatTemplates {
    var templates = ChatTemplates(addsBOS: seesPictures)
    // What comes later is taken only for names that are not there yet.
    func add(_ programs: [ChatTemplates.Program]) {
      guard templates[ChatTemplates.defaultName] == nil else { return }
      for program in programs where templates[program.name] == nil { templates.set(program) }
    }
    let files = try filePrograms(&notes)
    let ofTokenizer = Self.programs(
      settings?["chat_template"], "tokenizer_config.json", &notes)
    let legacy = Self.programs(
      try read(Self.processorFile)?["chat_template"], Self.processorFile, &notes)
    let ofProcessor = Self.programs(
      try processorTemplate(), "processor_config.json", &notes)
    let order =
      seesPictures
      ? [ofProcessor, legacy, files, ofTokenizer] : [files, ofTokenizer, legacy, ofProcessor]
    for programs in order { add(programs) }
    templates.tokens = try specialTokens(settings, tokenizer)
    return templates
  }

  /// `chat_template` of a processor's own description; other parts of it are read elsewhere.
  private mutating func processorTemplate() throws(ConversionError) -> JSONValue? {
    let name = "processor_config.json"
    let unread = files
    guard let json = try read(name) else { return nil }
    guard let template = json["chat_template"], !template.isNull else {
      forget(allBut: unread)
      return nil
    }
    return template
  }

  /// `chat_template.jinja`, and those beside it in a folder of their own, by their names.
  private mutating func filePrograms(
    _ notes: inout [Note]
  ) throws -> [ChatTemplates.Program] {
    var programs = ChatTemplates()
    if let source = try program(Self.fileName, &notes) {
      programs.set(.init(name: ChatTemplates.defaultName, source: source))
    }
    let (names, left) = Self.programNames(path: folderPath(Self.folderName))
    if left > 0 {
      notes.append("\(Self.folderName): \(counted(left, "template")) more than are kept: left out")
    }
    for name in names {
      guard let source = try program("\(Self.folderName)/\(name).jinja", &notes) else { continue }
      programs.set(.init(name: name, source: source))
    }
    return programs.programs
  }

  private mutating func program(
    _ name: String, _ notes: inout [Note]
  ) throws -> String? {
    guard let path = try path(of: name) else { return nil }
    let file = try MappedFile(path: path)
    guard file.count > 0 else {
      notes.append(Self.empty(name))
      return nil
    }
    try Self.requireFetched(file, expected: "a chat template")
    let limit = JinjaLimits().maximumSourceBytes
    guard file.count <= limit else {
      notes.append("\(name): found \(file.count) bytes, expected at most \(limit): left out")
      return nil
    }
    var bytes = file.withBytes(0..<file.count) { Array($0) }
    if let encoding = bytes.withUnsafeBytes({ ForeignEncoding.name(of: $0) }) {
      notes.append(
        "\(name): found a text in \(encoding), expected UTF-8: left out; save it as that")
      return nil
    }
    if ForeignEncoding.dropMark(of: &bytes) {
      notes.append(
        "\(name): its byte order mark is left out, which transformers puts before every prompt")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      notes.append("\(name): found bytes that are no UTF-8: left out")
      return nil
    }
    guard !text.allSatisfy(\.isWhitespace) else {
      notes.append(Self.empty(name))
      return nil
    }
    // As Python reads a text.
    return text.replacingLineEnds()
  }

  /// transformers takes such a template, and every conversation becomes the empty prompt.
  private static func empty(_ place: String) -> Note {
    "\(place): an empty template, with which every prompt would be empty: left out"
  }

  /// The names of templates in a folder, without `.jinja`, and how many are too many.
  private static func programNames(path: String) -> (names: [String], left: Int) {
    let ending = ".jinja"
    var names = (FileSystem.names(in: path) ?? []).filter {
      $0.hasSuffix(ending) && $0.utf8.count > ending.utf8.count
    }.map { String($0.dropLast(ending.count)) }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let kept = names.prefix(ChatTemplates.maximumPrograms - 1)
    return (Array(kept), names.count - kept.count)
  }

  /// The forms that `chat_template` has in JSON: a text, `[{"name", "template"}]`, or texts by name.
  private static func programs(
    _ value: JSONValue?, _ file: String, _ notes: inout [Note]
  ) -> [ChatTemplates.Program] {
    switch value {
    case nil, .null: return []
    case .string(let source) where source.allSatisfy(\.isWhitespace):
      notes.append(empty("\(file): chat_template"))
      return []
    case .string(let source): return [.init(name: ChatTemplates.defaultName, source: source)]
    case .array(let elements):
      let programs = elements.compactMap { element -> ChatTemplates.Program? in
        guard let name = element["name"]?.stringValue,
          let source = element["template"]?.stringValue
        else { return nil }
        return .init(name: name, source: source)
      }
      return kept(programs, of: elements.count, file, &notes)
    case .object(let object):
      let programs = object.members.compactMap { member in
        member.value.stringValue.map { ChatTemplates.Program(name: member.key, source: $0) }
      }
      return kept(programs, of: object.count, file, &notes)
    case .some(let other):
      notes.append(
        "\(file): chat_template: found \(other.kindWithArticle), expected a text, texts by name or a "
          + "list of them: left out")
      return []
    }
  }

  private static func kept(
    _ programs: [ChatTemplates.Program], of count: Int, _ file: String, _ notes: inout [Note]
  ) -> [ChatTemplates.Program] {
    let kept = programs.prefix(ChatTemplates.maximumPrograms - 1)
    if kept.count < count {
      notes.append(
        "\(file): chat_template: found "
          + counted(count - kept.count, "entry that is", "entries that are")
          + " no named text or too many: left out")
    }
    return Array(kept)
  }

  // MARK: Special tokens

  /// The texts of special tokens by the names that templates call them by.
  private mutating func specialTokens(
    _ settings: JSONValue?, _ tokenizer: Tokenizer?
  ) throws -> [ChatTemplates.Token] {
    var tokens: [ChatTemplates.Token] = []
    let sources = [
      settings, settings?["extra_special_tokens"], try read("special_tokens_map.json"),
    ]
    for source in sources {
      for member in source?.objectValue?.members ?? [] where member.key.hasSuffix("_token") {
        guard let text = member.value.stringValue ?? member.value["content"]?.stringValue,
          !tokens.contains(where: { $0.name == member.key })
        else { continue }
        tokens.append(.init(name: member.key, text: text))
      }
    }
    // A class of tokenizers has defaults of its own, except for the one that is made of its file alone.
    let kind = settings?["tokenizer_class"]?.stringValue ?? ""
    if ["PreTrainedTokenizerFast", "TokenizersBackend"].contains(kind) { return tokens }
    for token in ChatTemplates().tokens(tokenizer)
    where !tokens.contains(where: { $0.name == token.name }) && settings?[token.name] == nil {
      tokens.append(token)
    }
    return tokens
  }

  // MARK: GGUF

  /// The templates in a GGUF file's metadata: `tokenizer.chat_template`, and `tokenizer.chat_template.NAME`
  /// of others. What is not written begins with BOS as llama.cpp has it: where the tokenizer says so.
  static func chatTemplates(
    of gguf: GGUFMetadata, _ tokenizer: Tokenizer, notes: inout [Note]
  ) -> ChatTemplates {
    let key = "tokenizer.chat_template"
    var templates = ChatTemplates(addsBOS: true)
    var count = 0
    for (name, value) in gguf.entries {
      let isDefault = name == key
      guard isDefault || name.hasPrefix(key + "."), let source = value.stringValue,
        !source.allSatisfy(\.isWhitespace)
      else { continue }
      count += 1
      guard templates.programs.count < ChatTemplates.maximumPrograms else { continue }
      let own = isDefault ? ChatTemplates.defaultName : String(name.dropFirst(key.count + 1))
      // The one without a name is the default, whatever else is called so.
      if isDefault || templates[own] == nil { templates.set(.init(name: own, source: source)) }
    }
    if count > templates.programs.count {
      let left = counted(count - templates.programs.count, "chat template")
      notes.append("\(left) of the metadata: left out")
    }
    templates.tokens = templates.tokens(tokenizer)
    return templates
  }

  // MARK: The section

  /// The section that holds `templates`, and what a person should know about them.
  static func section(
    _ templates: ChatTemplates, _ tokenizer: Tokenizer?, seesPictures: Bool,
    notes: inout [Note]
  ) -> [UInt8]? {
    let text = "questions are sent as bare text"
    let names = templates.programs.map { $0.name.escapedForDisplay(limit: 60) }
    for program in templates.programs {
      do throws(JinjaError) { _ = try JinjaTemplate(program.source) } catch {
        let name = program.name.escapedForDisplay(limit: 60)
        let broken = "chat template '\(name)': \(error)"
        notes.append(
          program.name == ChatTemplates.defaultName
            ? Note("\(broken): \(text)", .frame("another")) : Note(broken))
      }
    }
    if templates.isEmpty {
      if !seesPictures, let tokenizer {
        let isMissed = ChatTemplates.hasChatTokens(tokenizer)
        let lack = isMissed ? ", though the vocabulary has marks of one" : ""
        let note = Note("no chat template\(lack): \(text)", .frame("one"))
        notes.append(isMissed ? note : note.expected)
      }
      return nil
    }
    if templates[ChatTemplates.defaultName] == nil {
      notes.append(
        Note(
          "no chat template is the default: \(text)",
          .frame("one of \(names.joined(separator: ", "))")))
    }
    return Array(templates.json.serialized().utf8)
  }
}

extension String {
  /// With `\n` for every end of a line.
  fileprivate func replacingLineEnds() -> String {
    guard utf8.contains(0x0d) else { return self }
    var bytes: [UInt8] = []
    var previous: UInt8 = 0
    for byte in utf8 {
      if !(byte == 0x0a && previous == 0x0d) { bytes.append(byte == 0x0d ? 0x0a : byte) }
      previous = byte
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
