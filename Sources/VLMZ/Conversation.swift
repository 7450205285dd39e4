import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// Questions and answers, turn after turn, about pictures or without any.
///
/// Each turn the whole conversation is made into a prompt again; what of it the context holds already
/// is not computed again.
///
/// A conversation belongs to one caller and does one thing at a time: a call while another runs is
/// refused with `.busy`. `cancel()` may be called from any thread. Several conversations of one model
/// may run at once, each on its own thread.
public final class Conversation: @unchecked Sendable {
  /// The model that answers.
  public let model: Model
  package let language: LanguageModel
  /// The language model with the sequence that it holds.
  package let generator: TextGenerator
  package let tokenizer: Tokenizer
  /// Nil: no roles; the text goes on where the prompt ends.
  package let template: (any PromptTemplate)?
  /// Instead of the template's system message.
  package let system: String?
  /// Whether special tokens that are spelled in what is said are such; otherwise they are text.
  package let parsesSpecial: Bool
  /// What holds for questions that say nothing else.
  package let options: GenerationOptions
  /// Positions of the last prompt, pictures included.
  package private(set) var promptLength = 0
  let gate = CallGate()
  /// What ends an answer beyond the model's own tokens.
  private let endOfAnswer: String?
  private var turns: [ConversationTemplate.Turn] = []
  private var images: [VisualTokens] = []
  /// Pictures that the next question is about.
  private var waiting: [VisualTokens] = []

  /// Begins a conversation with nothing said.
  ///
  /// - Parameters:
  ///   - model: one that writes text.
  ///   - options: its frame and its memory.
  /// - Throws: `VLMZError`: `.notCapable` for a model that writes no text or has no tokenizer,
  ///   `.invalidArgument` for options out of range or a template that nothing has, `.badData` for a
  ///   template that cannot be read, `.noMemory` when the context is too long for the machine.
  public convenience init(with model: Model, options: Options = Options()) throws(VLMZError) {
    let arguments = try options.arguments()
    let pool = try model.pool(threads: options.threads)
    let contextLength = options.contextLength ?? 1
    let range = 1...LLaMAConfig.maximumContext
    try VLMZError.require(
      range.contains(contextLength), "context length", found: "\(contextLength)",
      expected: "1 to \(range.upperBound)")
    let (generator, template) = try VLMZError.wrapping {
      let language = try model.requireLanguage()
      let choice = try TemplateChoice(model, language, arguments: arguments)
      let template = try Self.template(options.template, choice)
      let generator = try language.generator(
        pool: pool, contextLength: options.contextLength,
        keyValueFormat: options.keyValues.format)
      return (generator, template)
    }
    let made = try VLMZError.wrapping {
      try Parts(model, generator, template)
    }
    self.init(made, system: options.system, parsesSpecial: options.parsesSpecialTokens, nil)
  }

  /// The same with a sequence that was made for it, and with errors of the modules below.
  ///
  /// - Parameters:
  ///   - parsesSpecial: nil for yes without a template, where the user writes the frame too, and no
  ///     with one.
  ///   - options: what holds for questions that say nothing else; nil for what the makers want.
  /// - Throws: `GenerationError` for a model that writes no text, or a file without a tokenizer.
  package convenience init(
    with model: Model, _ generator: TextGenerator, template: (any PromptTemplate)?,
    system: String? = nil, parsesSpecial: Bool? = nil, options: GenerationOptions? = nil
  ) throws {
    self.init(
      try Parts(model, generator, template), system: system, parsesSpecial: parsesSpecial, options)
  }

  /// What a conversation is made of, checked.
  private struct Parts {
    let model: Model
    let language: LanguageModel
    let generator: TextGenerator
    let tokenizer: Tokenizer
    let template: (any PromptTemplate)?

    init(_ model: Model, _ generator: TextGenerator, _ template: (any PromptTemplate)?) throws {
      language = try model.requireLanguage()
      guard let tokenizer = language.tokenizer else {
        throw GenerationError(file: model.path, .noTokenizer)
      }
      (self.model, self.generator) = (model, generator)
      (self.tokenizer, self.template) = (tokenizer, template)
    }
  }

  private init(
    _ parts: Parts, system: String?, parsesSpecial: Bool?, _ options: GenerationOptions?
  ) {
    model = parts.model
    language = parts.language
    generator = parts.generator
    tokenizer = parts.tokenizer
    template = parts.template
    self.system = system
    self.parsesSpecial = parsesSpecial ?? (parts.template == nil)
    endOfAnswer = parts.template?.endOfAnswer(parts.tokenizer)
    self.options = options ?? AnswerOptions().generation(parts.language.defaults)
  }

  private static func template(
    _ wanted: Template, _ choice: TemplateChoice
  ) throws -> (any PromptTemplate)? {
    switch wanted {
    case .automatic:
      let (template, lack) = try choice.own()
      if case .broken(let error) = lack { throw error }
      return template
    case .none, .named("none"): return nil
    case .named(let name):
      guard let found = try choice.named(name) else {
        throw VLMZError(
          .invalidArgument,
          "template: found '\(name.escapedForDisplay(limit: 60))', expected one of "
            + choice.names.joined(separator: ", ").escapedForDisplay(limit: 2000))
      }
      return found
    case .program(let source):
      let limit = JinjaLimits().maximumSourceBytes
      try VLMZError.require(
        source.utf8.count <= limit, "template", found: "\(source.utf8.count) bytes",
        expected: "at most \(limit)")
      return try choice.chat(ChatTemplates.Program(name: "program", source: source))
    }
  }

  /// Positions that the conversation may have, text and pictures together.
  public var contextLength: Int { generator.context.capacity }
  package var seesPictures: Bool { language.pictures != nil }

  /// Ends the call that is running, from any thread: an answer ends with what is written of it.
  /// Without a call it does nothing.
  public func cancel() { gate.cancel() }

  /// Takes a picture into the next question.
  package func add(_ picture: VisualTokens) { waiting.append(picture) }

  /// Forgets the pictures that wait for a question.
  package func dropWaiting() { waiting = [] }

  /// Forgets everything that was said and seen.
  ///
  /// - Throws: `VLMZError` with `.busy` while a call is running.
  public func clear() throws(VLMZError) { try gate.enter { _ in forget() } }

  /// The same where no other call can be running.
  package func forget() {
    turns = []
    images = []
    waiting = []
  }

  /// Answers `question` about the pictures that wait for it.
  ///
  /// A question that does not say where its pictures stand, with `<image>`, has them in front.
  ///
  /// - Throws: `GenerationError` when it names another number of pictures than it was given, or when
  ///   the conversation is longer than the context; `TextError` from a template; and as
  ///   `TextGenerator.generate`. A question that could not be answered, or whose answer was
  ///   cancelled before it began, is not part of the conversation; its pictures wait for the next.
  package func answer(
    _ question: String, _ options: GenerationOptions? = nil, cancelled: CancellationFlag? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Answer {
    try refuseTooLong(question)
    let text = try placed(question)
    let all = images + waiting
    let ids = try ids(text, all)
    let generation = try generator.generate(
      ids, images: all, complete(options ?? self.options), cancelled: cancelled, emit: emit)
    let answer = Answer(
      generation, promptTokens: ids.count { $0 != ImagePrompt.sentinel },
      visualTokens: all.reduce(0) { $0 + $1.count })
    guard !answer.endedBeforeStart else { return answer }
    let answered = template?.historyText(of: generation.text) ?? generation.text
    turns += [.init(.user, text), .init(.assistant, answered)]
    images = all
    waiting = []
    return answer
  }

  /// Answers a prompt that is made already; it becomes no part of the conversation.
  ///
  /// - Parameter ids: with `ImagePrompt.sentinel` for each of `images`.
  /// - Throws: as `TextGenerator.generate`.
  package func answer(
    toPrompt ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag? = nil
  ) throws -> Generation {
    try generator.generate(ids, images: images, complete(options), cancelled: cancelled)
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
    guard bytes > max(contextLength, Self.maximumFreeText) else { return }
    let outer = bytes - Self.bytesWithinSpace(question)
    let spaces = outer > Self.maximumFreeSpace ? outer : 0
    let counted = bytes - outer + spaces
    guard let positions = tokenizer.minimumTokenCount(byteCount: counted), positions > contextLength
    else {
      return
    }
    throw GenerationError(
      .surelyTooLong(
        bytes: bytes, spaces: spaces, positions: positions, capacity: contextLength))
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
    var prompt: PromptText
    if let template {
      prompt = try template.prompt(
        turns + [.init(.user, question), .init(.assistant, nil)], system: system,
        parsesImages: seesPictures)
    } else {
      prompt = seesPictures ? .messageWithImages(question) : PromptText(question, isMessage: true)
    }
    let bos = template.flatMap { $0.bos(prompt, tokenizer) }
    if parsesSpecial { prompt = prompt.parsingSpecial() }
    let ids =
      seesPictures
      ? try ImagePrompt.ids(
        prompt, tokenizer, bos: bos, tokenization: template?.tokenization ?? .perPart)
      : try tokenizer.encode(prompt, bos: bos, eos: false)
    let marks = ids.count { $0 == ImagePrompt.sentinel }
    guard marks == pictures.count else {
      throw GenerationError(.places(found: marks, expected: pictures.count))
    }
    let visual = pictures.reduce(0) { $0 + $1.count }
    promptLength = ids.count - marks + visual
    guard promptLength <= contextLength else {
      throw GenerationError(
        .tooLong(
          text: ids.count - marks, pictures: marks, visual: visual, capacity: contextLength))
    }
    return ids
  }

  /// The question with a placeholder for each of its pictures. For a model that sees none it is text.
  private func placed(_ question: String) throws -> String {
    guard seesPictures else { return question }
    let named = ImagePrompt.count(question)
    if named == waiting.count { return question }
    guard named == 0 else { throw GenerationError(.pictures(named: named, given: waiting.count)) }
    let separator = ConversationTemplate.imageSeparator
    return String(repeating: ImagePrompt.marker + separator, count: waiting.count) + question
  }

  /// The end of an answer: what the file says, the template's own mark, and the tokenizer's EOS
  /// where nothing says anything.
  private func complete(_ options: GenerationOptions) -> GenerationOptions {
    var options = options
    var tokens = options.stopTokens ?? Set(language.defaults.stopTokens)
    if tokens.isEmpty, let eos = tokenizer.eos { tokens.insert(eos) }
    for stop in options.stopStrings + (endOfAnswer.map { [$0] } ?? []) {
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

extension Conversation.KeyValueStorage {
  var format: KeyValueFormat {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .q8: .q8
    }
  }
}
