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
  /// The language model with the sequence that it holds.
  package let generator: TextGenerator
  /// What makes prompts of what is said.
  package let frame: PromptFrame
  /// Instead of the template's system message.
  package let system: String?
  /// What holds for questions that say nothing else.
  package let options: GenerationOptions
  /// Positions of the last prompt, pictures included.
  package private(set) var promptLength = 0
  let gate = CallGate()
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
    let frame = try VLMZError.wrapping {
      try PromptFrame(
        model, template: template, parsesSpecial: options.parsesSpecialTokens,
        contextLength: generator.context.capacity)
    }
    self.init(model, generator, frame, system: options.system, nil)
  }

  /// The same with a sequence that was made for it, and with errors of the modules below.
  ///
  /// - Parameters:
  ///   - parsesSpecial: as `PromptFrame` has it.
  ///   - options: what holds for questions that say nothing else; nil for what the makers want.
  /// - Throws: `GenerationError` for a model that writes no text, or a file without a tokenizer.
  package convenience init(
    with model: Model, _ generator: TextGenerator, template: (any PromptTemplate)?,
    system: String? = nil, parsesSpecial: Bool? = nil, options: GenerationOptions? = nil
  ) throws {
    let frame = try PromptFrame(
      model, template: template, parsesSpecial: parsesSpecial,
      contextLength: generator.context.capacity)
    self.init(model, generator, frame, system: system, options)
  }

  private init(
    _ model: Model, _ generator: TextGenerator, _ frame: PromptFrame, system: String?,
    _ options: GenerationOptions?
  ) {
    self.model = model
    self.generator = generator
    self.frame = frame
    self.system = system
    self.options = options ?? AnswerOptions().generation(frame.language.defaults)
  }

  package var language: LanguageModel { frame.language }
  package var tokenizer: Tokenizer { frame.tokenizer }
  package var template: (any PromptTemplate)? { frame.template }

  static func template(
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
  package var seesPictures: Bool { frame.seesPictures }

  /// Ends the call that is running, from any thread: an answer ends with what is written of it.
  /// Without a call it does nothing.
  public func cancel() { gate.cancel() }

  /// Pictures of the conversation, those that wait for a question too.
  package var pictureCount: Int { images.count + waiting.count }

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
  /// - Parameter beginning: of the answer, which goes on behind it; what is written is what follows. It needs
  ///   a template that writes it as it is.
  /// - Throws: `GenerationError` when it names another number of pictures than it was given, or when
  ///   the conversation is longer than the context; `TextError` from a template; and as
  ///   `TextGenerator.generate`. A question that could not be answered, or whose answer was
  ///   cancelled before it began, is not part of the conversation; its pictures wait for the next.
  package func answer(
    _ question: String, _ options: GenerationOptions? = nil, beginning: String = "",
    cancelled: CancellationFlag? = nil, emit: (String) -> Void = { _ in }
  ) throws -> Answer {
    try frame.refuseTooLong(question)
    try frame.refuseTooLong(beginning)
    let text = try placed(question)
    let all = images + waiting
    let ids = try ids(text, all, beginning)
    var completed = frame.complete(options ?? self.options)
    if !beginning.isEmpty { (completed.continuesPrompt, completed.begunEnd) = (true, ids.last) }
    let generation = try generator.generate(
      ids, images: all, completed, cancelled: cancelled, emit: emit)
    // Marks around the tiles of a picture are text.
    let marks = all.reduce(0) { $0 + $1.positionCount - $1.count }
    let answer = Answer(
      generation, promptTokens: ids.count { $0 != ImagePrompt.sentinel } + marks,
      visualTokens: all.reduce(0) { $0 + $1.count })
    guard !answer.endedBeforeStart else { return answer }
    let answered = frame.historyText(of: beginning + generation.text)
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
    try generator.generate(ids, images: images, frame.complete(options), cancelled: cancelled)
  }

  /// The prompt's ids if `question` were asked now.
  package func promptIDs(_ question: String, beginning: String = "") throws -> [Int] {
    try frame.refuseTooLong(question)
    return try ids(try placed(question), images + waiting, beginning)
  }

  private func ids(
    _ question: String, _ pictures: [VisualTokens], _ beginning: String
  ) throws -> [Int] {
    let begun = beginning.isEmpty ? [] : [ConversationTemplate.Turn(.assistant, beginning)]
    let ids = try frame.ids(
      turns + [.init(.user, question)] + begun, system: system, pictures: pictures.count)
    let visual = pictures.reduce(0) { $0 + $1.positionCount }
    promptLength = frame.length(ids, visual: visual)
    try frame.requireRoom(ids, visual: visual)
    return ids
  }

  /// The question with a placeholder for each of its pictures.
  private func placed(_ question: String) throws -> String {
    try frame.placed(question, pictures: waiting.count)
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
