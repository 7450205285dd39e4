import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMTensor
import VLMText
import VLMZ

/// Which frame stands around questions: the user's choice, or what the file says.
struct PromptChoice {
  private let model: any ConversationSession
  private let options: ConversationOptions
  private let quiet: Bool

  init(_ model: any ConversationSession, _ options: ConversationOptions, quiet: Bool) {
    self.model = model
    self.options = options
    self.quiet = quiet
  }

  private var file: String { model.container.path }

  /// Nil to continue text as it stands, which is said where nobody asked for it.
  ///
  /// - Throws: `ValidationError` for a name that nothing has; `TextError`, `FileError` for a template
  ///   that cannot be read.
  func template() throws -> (any PromptTemplate)? {
    let stored = try model.container.chatTemplates()
    let found = try options.template.map { try named($0, stored) } ?? own(stored)
    let arguments = try options.arguments()
    if found == nil, options.system != nil {
      Report.warning(
        "--system: left out, as no template frames the text; --template names one",
        program: "vlm-run")
    }
    guard let chat = found as? ChatTemplate else {
      guard arguments.isEmpty else {
        throw ValidationError(
          "--template-args: found '\(found?.name ?? "none")' as template, expected a program in Jinja"
        )
      }
      return found
    }
    let unused = chat.unused(arguments)
    if !unused.isEmpty {
      Report.warning(
        "--template-args: the template '\(chat.name)' does not look at "
          + unused.joined(separator: ", ").escapedForDisplay(), program: "vlm-run")
    }
    if let system = options.system, !chat.renders(system: system) {
      Report.warning(
        "--system: the template '\(chat.name)' leaves it out of the prompt", program: "vlm-run")
    }
    return chat
  }

  // MARK: The file's

  private func own(_ stored: ChatTemplates) throws -> (any PromptTemplate)? {
    if let program = stored[ChatTemplates.defaultName] {
      do throws(TextError) { return try chat(program, stored) } catch {
        guard case .template = error.problem else { throw error }
        if let family = stored.family { return try self.family(family, stored) }
        warnOfText("\(error)")
        return nil
      }
    }
    if let family = stored.family { return try self.family(family, stored) }
    if !stored.programs.isEmpty {
      warnOfText(
        "the file has no default chat template", "one of \(Self.list(stored.programs.map(\.name)))")
      return nil
    }
    if let name = model.templateName { return ConversationTemplate.named(name) }
    // Nothing is asked then, which is an error by itself.
    guard model.tokenizer != nil else { return nil }
    let isMissed = model.tokenizer.map { ChatTemplates.hasChatTokens($0) } ?? false
    if isMissed || options.chat {
      warnOfText("the file has no chat template")
    } else if !quiet {
      Report.note(
        "the file has no chat template: text is continued as it stands; --template names one")
    }
    return nil
  }

  private func warnOfText(_ reason: String, _ choice: String = "another") {
    Report.warning(
      "\(reason): questions are sent as bare text; --template names \(choice)", program: "vlm-run")
  }

  private func chat(
    _ program: ChatTemplates.Program, _ stored: ChatTemplates, system: String? = nil,
    addsBOS: Bool? = nil, file: String? = nil
  ) throws(TextError) -> ChatTemplate {
    let arguments: JSONObject
    do { arguments = try options.arguments() } catch { arguments = JSONObject() }
    return try ChatTemplate(
      program, system: system, tokens: stored.tokens(model.tokenizer),
      addsBOS: addsBOS ?? stored.addsBOS, arguments: arguments, file: file ?? self.file)
  }

  /// A template that this build has by itself.
  private func family(
    _ family: ChatTemplates.Family, _ stored: ChatTemplates
  ) throws(TextError) -> (any PromptTemplate)? {
    if let mode = ConversationTemplate.named(family.name) {
      return family.system.map { mode.with(system: $0) } ?? mode
    }
    guard let known = ChatTemplate.builtIn(family.name) else { return nil }
    return try chat(
      ChatTemplates.Program(name: known.name, source: known.source), stored,
      system: family.system ?? known.system, addsBOS: true)
  }

  // MARK: The user's

  private func named(
    _ name: String, _ stored: ChatTemplates
  ) throws -> (any PromptTemplate)? {
    if name == "none" { return nil }
    if let program = stored[name] { return try chat(program, stored) }
    if let known = try family(ChatTemplates.Family(name: name), stored) { return known }
    if name.contains("/")
      || [".jinja", ".jinja2", ".j2", ".json"].contains(where: { name.hasSuffix($0) })
      || (try? MappedFile(path: name)) != nil
    {
      let source = try Self.program(of: name)
      return try chat(
        ChatTemplates.Program(name: name, source: source), stored, file: name)
    }
    var names: [String] = []
    for one in stored.programs.map(\.name) + ["none"] + ConversationTemplate.names
      + ChatTemplate.builtInNames where !names.contains(one)
    {
      names.append(one)
    }
    let near = Suggestion.nearest(to: name, of: names).map {
      "; did you mean '\($0.escapedForDisplay(limit: 60))'?"
    }
    throw ValidationError(
      "--template: found '\(name.escapedForDisplay())', expected a file that ends in .jinja, "
        + Self.list(names) + (near ?? ""))
  }

  private static func list(_ names: [String]) -> String {
    names.map { $0.escapedForDisplay(limit: 60) }.joined(separator: ", ")
  }

  /// The program in a file: all of it, or what `chat_template` says in one of JSON, such as
  /// `tokenizer_config.json`.
  private static func program(of path: String) throws -> String {
    let text = try text(of: path)
    func error(_ place: String, _ found: String, _ expected: String) -> TextError {
      TextError(file: path, place: place, .value(found: found, expected: expected))
    }
    guard text.utf8.first(where: { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }) == UInt8(ascii: "{"),
      let json = try? JSONValue.parse(Array(text.utf8))
    else {
      let isProgram = ["{{", "{%"].contains { text.contains($0) }
      guard isProgram || path.hasSuffix(".jinja") || path.hasSuffix(".j2") else {
        throw error(
          "text", "no {{ and no {%", "a chat template in Jinja, or JSON with 'chat_template'")
      }
      return text
    }
    let place = "chat_template"
    switch json[place] {
    case nil, .null?:
      throw error(
        place, "none", "one; newer models have it in chat_template.jinja, beside this file")
    case .string(let source)?: return source
    case .array(let elements)?:
      let programs = elements.filter { $0["name"]?.stringValue == ChatTemplates.defaultName }
      if let source = programs.first?["template"]?.stringValue { return source }
    case let other?:
      if let source = other[ChatTemplates.defaultName]?.stringValue { return source }
    }
    throw error(place, "none of the name 'default'", "a text, or texts by name with 'default'")
  }

  private static func text(of path: String) throws -> String {
    let file = try MappedFile(path: path)
    // A configuration has other things beside its template, which is measured by itself.
    let limit = path.hasSuffix(".json") ? 1 << 24 : JinjaLimits().maximumSourceBytes
    guard file.count <= limit else {
      throw TextError(
        file: path, place: "size",
        .value(found: "\(file.count) bytes", expected: "at most \(limit)"))
    }
    let bytes = file.withBytes(0..<file.count) { Array($0) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw TextError(file: path, place: "text", .value(found: "other bytes", expected: "UTF-8"))
    }
    return text
  }
}
