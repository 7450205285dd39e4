import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMTensor
import VLMText
import VLMZ

/// Which frame stands around questions: the user's choice, or what the file says.
struct PromptChoice {
  private let model: AnsweringModel
  private let options: ConversationOptions
  private let quiet: Bool

  init(_ model: AnsweringModel, _ options: ConversationOptions, quiet: Bool) {
    self.model = model
    self.options = options
    self.quiet = quiet
  }

  /// Nil to continue text as it stands; unless the user asked for that, a note says so.
  ///
  /// - Throws: `ValidationError` for a name that nothing has; `TextError`, `FileError` for a template
  ///   that cannot be read.
  func template() throws -> (any PromptTemplate)? {
    let arguments = try options.arguments()
    let choice = try TemplateChoice(model.model, model.language, arguments: arguments)
    let found = try options.template.map { try named($0, choice) } ?? own(choice)
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

  private func own(_ choice: TemplateChoice) throws -> (any PromptTemplate)? {
    let (template, lack) = try choice.own()
    switch lack {
    case nil: break
    case .broken(let error): warnOfText(error.shown)
    case .noDefault:
      warnOfText(
        "the file has no default chat template",
        "one of \(Self.list(choice.stored.programs.map(\.name)))")
    case .noTemplate(let isMissed):
      // Nothing is asked then, which is an error by itself.
      guard model.language.tokenizer != nil else { break }
      if isMissed || options.chat {
        warnOfText("the file has no chat template")
      } else if !quiet {
        Report.note(
          "the file has no chat template: text is continued as it stands; --template names one")
      }
    }
    return template
  }

  private func warnOfText(_ reason: String, _ choice: String = "another") {
    Report.warning(
      "\(reason): questions are sent as bare text; --template names \(choice)", program: "vlm-run")
  }

  // MARK: The user's

  private func named(
    _ name: String, _ choice: TemplateChoice
  ) throws -> (any PromptTemplate)? {
    if name == "none" { return nil }
    if let known = try choice.named(name) { return known }
    if name.contains("/")
      || [".jinja", ".jinja2", ".j2", ".json"].contains(where: { name.hasSuffix($0) })
      || (try? MappedFile(path: name)) != nil
    {
      let source = try Self.program(of: name)
      return try choice.chat(ChatTemplates.Program(name: name, source: source), file: name)
    }
    let names = choice.names
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
    // A configuration has other things beside its template, which is measured by itself.
    let limit = path.hasSuffix(".json") ? 1 << 24 : JinjaLimits().maximumSourceBytes
    return try OptionFile.text(of: path, limit: limit)
  }
}
