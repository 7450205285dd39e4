import VLMContainer
import VLMFoundation
import VLMText

/// Which frame stands around questions, of those that a file or this build has.
package struct TemplateChoice {
  /// What the file has.
  package let stored: ChatTemplates
  private let tokenizer: Tokenizer?
  /// The one that the model was trained with, where the file has none.
  private let trained: String?
  private let arguments: JSONObject
  private let file: String

  /// Why a file's own choice is no template.
  package enum Lack: Sendable, Equatable {
    /// The file's program fails; why.
    case broken(TextError)
    /// The file has programs, but none that is taken unless another is asked for.
    case noDefault
    /// The file has none. Whether its vocabulary has tokens that only templates write.
    case noTemplate(isMissed: Bool)
  }

  /// - Parameter arguments: variables for programs in Jinja.
  /// - Throws: `ContainerError`, `TextError` for a section that is damaged.
  package init(_ model: Model, _ language: LanguageModel, arguments: JSONObject) throws {
    stored = try model.container.chatTemplates()
    tokenizer = language.tokenizer
    trained = language.templateName
    self.arguments = arguments
    file = model.path
  }

  /// The file's own template, or why there is none.
  ///
  /// - Throws: `TextError` for a program that is damaged.
  package func own() throws -> (template: (any PromptTemplate)?, lack: Lack?) {
    if let program = stored[ChatTemplates.defaultName] {
      do throws(TextError) { return (try chat(program), nil) } catch {
        guard case .template = error.problem else { throw error }
        if let family = stored.family { return (try self.family(family), nil) }
        return (nil, .broken(error))
      }
    }
    if let family = stored.family { return (try self.family(family), nil) }
    if !stored.programs.isEmpty { return (nil, .noDefault) }
    if let trained { return (ConversationTemplate.named(trained), nil) }
    return (nil, .noTemplate(isMissed: tokenizer.map { ChatTemplates.hasChatTokens($0) } ?? false))
  }

  /// The template of that name, the file's or this build's; nil where neither has one.
  ///
  /// - Throws: `TextError` for a program that cannot be read.
  package func named(_ name: String) throws(TextError) -> (any PromptTemplate)? {
    if let program = stored[name] { return try chat(program) }
    return try family(ChatTemplates.Family(name: name))
  }

  /// A program in Jinja as a template.
  ///
  /// - Parameter file: where it comes from, for errors; nil for the model's file.
  /// - Throws: `TextError` for a program that cannot be read.
  package func chat(
    _ program: ChatTemplates.Program, system: String? = nil, addsBOS: Bool? = nil,
    file: String? = nil
  ) throws(TextError) -> ChatTemplate {
    try ChatTemplate(
      program, system: system, tokens: stored.tokens(tokenizer),
      addsBOS: addsBOS ?? stored.addsBOS, arguments: arguments, file: file ?? self.file)
  }

  /// A template that this build has by itself.
  private func family(
    _ family: ChatTemplates.Family
  ) throws(TextError) -> (any PromptTemplate)? {
    if let mode = ConversationTemplate.named(family.name) {
      return family.system.map { mode.with(system: $0) } ?? mode
    }
    guard let known = ChatTemplate.builtIn(family.name) else { return nil }
    return try chat(
      ChatTemplates.Program(name: known.name, source: known.source),
      system: family.system ?? known.system, addsBOS: true)
  }

  /// What `named` takes.
  package var names: [String] {
    var names: [String] = []
    for one in stored.programs.map(\.name) + ["none"] + ConversationTemplate.names
      + ChatTemplate.builtInNames where !names.contains(one)
    {
      names.append(one)
    }
    return names
  }
}
