import VLMContainer
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// Questions about pictures and their answers, turn after turn.
///
/// Each turn the whole conversation is made into a prompt again; the session finds the part of it
/// that the context holds and computes only the rest.
package final class Dialogue {
  package let model: any ConversationSession
  package let tokenizer: Tokenizer
  /// Nil: no roles; the text goes on where the prompt ends.
  package let template: (any PromptTemplate)?
  /// Instead of the template's system message.
  package let system: String?
  /// Whether special tokens that are spelled in what is said are such; otherwise they are text.
  package let parsesSpecial: Bool
  package var options: GenerationOptions
  /// Positions of the last prompt, pictures included.
  package private(set) var promptLength = 0
  private var turns: [ConversationTemplate.Turn] = []
  private var images: [VisualTokens] = []
  /// Pictures that the next question is about.
  private var waiting: [VisualTokens] = []

  /// - Parameter parsesSpecial: nil for yes without a template, where the user writes the frame too,
  ///   and no with one.
  /// - Throws: `GenerationError` for a file without a tokenizer.
  package init(
    _ model: any ConversationSession, template: (any PromptTemplate)?, system: String? = nil,
    parsesSpecial: Bool? = nil, options: GenerationOptions
  ) throws {
    guard let tokenizer = model.tokenizer else {
      throw GenerationError(file: model.container.path, .noTokenizer)
    }
    self.model = model
    self.tokenizer = tokenizer
    self.template = template
    self.system = system
    self.parsesSpecial = parsesSpecial ?? (template == nil)
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

  /// Forgets the pictures that wait for a question.
  package func dropWaiting() { waiting = [] }

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
  /// - Throws: `GenerationError` when it names another number of pictures than it was given, or when
  ///   the conversation is longer than the context; `TextError` from a template; and as
  ///   `ConversationSession.generate`. A question that could not be answered, or whose answer was
  ///   cancelled before it began, is not part of the conversation; its pictures wait for the next.
  package func ask(
    _ question: String, cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Answer {
    try refuseTooLong(question)
    let text = try placed(question)
    let all = images + waiting
    let ids = try ids(text, all)
    let generation = try model.generate(
      ids, images: all, options, cancelled: cancelled, emit: emit)
    let answer = Answer(
      generation: generation, promptTokens: ids.count { $0 != ImagePrompt.sentinel },
      visualTokens: all.reduce(0) { $0 + $1.count })
    guard !answer.isUnbegun else { return answer }
    let told = template?.retold(generation.text) ?? generation.text
    turns += [.init(.user, text), .init(.assistant, told)]
    images = all
    waiting = []
    return answer
  }

  /// The prompt's ids if `question` were asked now.
  package func promptIDs(_ question: String) throws -> [Int] {
    try refuseTooLong(question)
    return try ids(try placed(question), images + waiting)
  }

  /// Bytes of white space at a question's ends, both together, that do not count until it is
  /// rendered: a template may take them off.
  private static let maximumFreeSpace = 1 << 20

  /// Bytes of a question that are framed and encoded in any case, so that an error can say exactly
  /// what it takes.
  private static let maximumFreeText = 1 << 20

  /// Refuses a long question that cannot fit the context whatever its letters are, before any work is
  /// put into it: framing and encoding take many times the memory of a text. White space at its ends
  /// counts where it is more than `maximumFreeSpace`, as if every template kept it.
  private func refuseTooLong(_ question: String) throws(GenerationError) {
    let bytes = question.utf8.count
    guard bytes > max(model.capacity, Self.maximumFreeText) else { return }
    let outer = bytes - Self.bytesWithinSpace(question)
    let spaces = outer > Self.maximumFreeSpace ? outer : 0
    let counted = bytes - outer + spaces
    guard let positions = tokenizer.fewestIDs(bytes: counted), positions > model.capacity else {
      return
    }
    throw GenerationError(
      .surelyTooLong(
        bytes: bytes, spaces: spaces, positions: positions, capacity: model.capacity))
  }

  /// Bytes from the first character that is no white space to the last.
  private static func bytesWithinSpace(_ text: String) -> Int {
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return 0 }
    return text.utf8.distance(from: first, to: scalars.index(after: last))
  }

  private func ids(_ question: String, _ pictures: [VisualTokens]) throws -> [Int] {
    let seesPictures = model.seesPictures
    var prompt: PromptText
    if let template {
      prompt = try template.prompt(
        turns + [.init(.user, question), .init(.assistant, nil)], system: system,
        marksPictures: seesPictures)
    } else {
      prompt = seesPictures ? .withPictures(question) : PromptText(question, isMessage: true)
    }
    let bos = template.flatMap { $0.bos(prompt, tokenizer) }
    if parsesSpecial { prompt = prompt.parsingSpecial() }
    let ids =
      seesPictures
      ? try ImagePrompt.ids(prompt, tokenizer, bos: bos, manner: template?.manner ?? .stretches)
      : try tokenizer.encode(prompt, bos: bos, eos: false)
    let marks = ids.count { $0 == ImagePrompt.sentinel }
    guard marks == pictures.count else {
      throw GenerationError(
        .text(
          found: "\(marks) places for pictures in the template's prompt",
          expected: "\(pictures.count), one per picture; --template names another"))
    }
    let visual = pictures.reduce(0) { $0 + $1.count }
    promptLength = ids.count - marks + visual
    guard promptLength <= model.capacity else {
      throw GenerationError(
        .tooLong(
          text: ids.count - marks, pictures: marks, visual: visual, capacity: model.capacity))
    }
    return ids
  }

  /// The question with a mark for each of its pictures. What a model without eyes is asked is text.
  private func placed(_ question: String) throws -> String {
    guard model.seesPictures else { return question }
    let named = ImagePrompt.count(question)
    if named == waiting.count { return question }
    guard named == 0 else { throw GenerationError(.pictures(named: named, given: waiting.count)) }
    let separator = ConversationTemplate.imageSeparator
    return String(repeating: ImagePrompt.marker + separator, count: waiting.count) + question
  }

  /// The end of an answer: what the file says, the template's own mark, and the tokenizer's EOS
  /// where nothing says anything.
  private static func complete(
    _ options: GenerationOptions, _ template: (any PromptTemplate)?, _ tokenizer: Tokenizer,
    _ defaults: GenerationDefaults
  ) -> GenerationOptions {
    var options = options
    var tokens = options.stopTokens ?? Set(defaults.stopTokens)
    if tokens.isEmpty, let eos = tokenizer.eos { tokens.insert(eos) }
    for stop in options.stopStrings + (template?.endOfAnswer(tokenizer).map { [$0] } ?? []) {
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
  /// How a conversation becomes text, as the file says; without programs where it does not say.
  ///
  /// - Throws: `ContainerError`, `TextError` for a section that is no good.
  package func chatTemplates() throws -> ChatTemplates {
    guard let json = try json(.chatTemplate) else { return ChatTemplates() }
    return try ChatTemplates(json: json, file: path)
  }
}
