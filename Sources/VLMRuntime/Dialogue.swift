import VLMContainer
import VLMInput
import VLMModels
import VLMTensor

/// Questions about pictures and their answers, turn after turn.
///
/// Each turn the whole conversation is made into a prompt again; the session finds the part of it
/// that the context holds and computes only the rest.
package final class Dialogue {
  package let model: any ConversationSession
  package let tokenizer: Tokenizer
  /// Nil: no roles; the text goes on where the prompt ends.
  package let template: ConversationTemplate?
  /// Instead of the template's system message.
  package let system: String?
  package var options: GenerationOptions
  private var turns: [ConversationTemplate.Turn] = []
  private var images: [VisualTokens] = []
  /// Pictures that the next question is about.
  private var waiting: [VisualTokens] = []

  /// - Throws: `GenerationError` for a file without a tokenizer.
  package init(
    _ model: any ConversationSession, template: ConversationTemplate?, system: String? = nil,
    options: GenerationOptions
  ) throws {
    guard let tokenizer = model.tokenizer else {
      throw GenerationError(file: model.container.path, .noTokenizer)
    }
    self.model = model
    self.tokenizer = tokenizer
    self.template = template
    self.system = system
    self.options = Self.complete(
      options, template, tokenizer, model.defaults)
  }

  /// One answer and what it took.
  package struct Answer: Sendable {
    package let generation: Generation
    /// Ids of the prompt without pictures, and tokens of pictures, of the whole conversation.
    package let promptTokens: Int
    package let visualTokens: Int

    /// Cancelled before its first token: as if it had never been asked for.
    package var isUnbegun: Bool {
      generation.ending == .cancelled && generation.tokens.isEmpty
    }
  }

  /// Takes a picture into the next question.
  package func add(_ picture: VisualTokens) { waiting.append(picture) }

  /// Forgets everything that was said and seen.
  package func clear() {
    turns = []
    images = []
    waiting = []
  }

  /// Answers `question`.
  ///
  /// A question that does not say where its pictures stand, with `<image>`, has them in front.
  ///
  /// - Throws: `GenerationError` when it names another number of pictures than it was given, and as
  ///   `ConversationSession.generate`. A question that could not be answered, or whose answer was
  ///   cancelled before it began, is not part of the conversation; its pictures wait for the next.
  package func ask(
    _ question: String, cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Answer {
    let text = try placed(question)
    let all = images + waiting
    let next = turns + [.init(.user, text), .init(.assistant, nil)]
    let ids = try ids(next, text)
    let generation = try model.generate(
      ids, images: all, options, cancelled: cancelled, emit: emit)
    let answer = Answer(
      generation: generation, promptTokens: ids.count { $0 != ImagePrompt.sentinel },
      visualTokens: all.reduce(0) { $0 + $1.count })
    guard !answer.isUnbegun else { return answer }
    turns += [.init(.user, text), .init(.assistant, generation.text.trimmingSpaces())]
    images = all
    waiting = []
    return answer
  }

  /// The prompt's ids if `question` were asked now.
  package func promptIDs(_ question: String) throws -> [Int] {
    let text = try placed(question)
    return try ids(turns + [.init(.user, text), .init(.assistant, nil)], text)
  }

  private func ids(_ turns: [ConversationTemplate.Turn], _ question: String) throws -> [Int] {
    guard let template else { return try ImagePrompt.ids(question, tokenizer) }
    let prompt = template.prompt(turns, system: system)
    // A chat template may write BOS itself.
    let writesBOS = tokenizer.bos.flatMap { tokenizer.piece($0) }.map {
      !$0.isEmpty && prompt.hasPrefix($0)
    }
    return try ImagePrompt.ids(prompt, tokenizer, bos: writesBOS == true ? false : nil)
  }

  private func placed(_ question: String) throws -> String {
    let named = ImagePrompt.count(question)
    if named == waiting.count { return question }
    guard named == 0 else {
      throw GenerationError(
        .option(
          "prompt", found: "\(named) times <image>", expected: "\(waiting.count), one per picture"))
    }
    let separator = ConversationTemplate.imageSeparator
    return String(repeating: ImagePrompt.marker + separator, count: waiting.count) + question
  }

  /// The end of an answer: what the file says, the template's own mark, and the tokenizer's EOS
  /// where nothing says anything.
  private static func complete(
    _ options: GenerationOptions, _ template: ConversationTemplate?, _ tokenizer: Tokenizer,
    _ defaults: GenerationDefaults
  ) -> GenerationOptions {
    var options = options
    var tokens = options.stopTokens ?? Set(defaults.stopTokens)
    if tokens.isEmpty, let eos = tokenizer.eos { tokens.insert(eos) }
    for stop in options.stopStrings + (template?.stop.map { [$0] } ?? []) {
      if let id = tokenizer.id(of: stop), tokenizer.isSpecial(id) {
        tokens.insert(id)
      } else if !options.stopStrings.contains(stop) {
        options.stopStrings.append(stop)
      }
    }
    options.stopTokens = tokens
    if template == nil { options.continuesPrompt = true }
    return options
  }
}

extension Container {
  /// How a conversation becomes text, as the file says; nil where it does not say, or in a way that
  /// this build does not know.
  ///
  /// - Throws: `ContainerError`, `ModelError`, `TextError` for a section that is no good.
  package func conversationTemplate() throws -> ConversationTemplate? {
    guard let json = try json(.chatTemplate) else { return nil }
    return try ConversationTemplate(json: json, file: path)
  }
}
