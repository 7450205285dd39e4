import VLMFoundation
import VLMModels

/// Answers many requests at the same time with one model.
///
/// The next tokens of all answers are rows of the same products, so that one pass over the weights serves
/// them all, and prompts are read in pieces between them. An answer is the same, bit by bit, alone and in
/// company, and the same as a `Conversation` gives for the same options; `docs/batching.md` says for which
/// weights that holds.
///
/// Any thread may call. The engine computes on one thread of its own and on the model's; it ends when it
/// is stopped or let go.
public final class BatchEngine: Sendable {
  /// The model that answers.
  public let model: Model
  private let framer: RequestFramer
  private let pagePositions: Int
  let core: EngineCore

  /// Starts an engine.
  ///
  /// - Throws: `VLMZError`: `.notCapable` for a model that writes no text or has no tokenizer,
  ///   `.invalidArgument` for options out of range or a template that nothing has, `.badData` for a
  ///   template that cannot be read, `.noMemory` when contexts do not fit the machine or no thread can be
  ///   had.
  public convenience init(
    model: Model, options: BatchEngineOptions = BatchEngineOptions()
  ) throws(VLMZError) {
    try self.init(
      model: model, options: options, pagePositions: AnswerScheduler.defaultPagePositions)
    try core.start(seesPictures: seesPictures)
  }

  /// One that does nothing by itself: `core.turn()` and `core.prepareNext()` are called instead.
  ///
  /// - Parameters:
  ///   - pagePositions: a multiple of `KeyValuePages.panel`.
  ///   - masks: finds what grammars allow.
  ///   - costs: what passes cost at the beginning.
  ///   - now: what deadlines and latencies go by.
  ///   - betweenLayers: called between two layers of a pass that others may join.
  init(
    model: Model, options: BatchEngineOptions, pagePositions: Int,
    masks: MaskWorker = MaskWorker(), costs: PassCosts = PassCosts(),
    now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock().now },
    betweenLayers: @escaping @Sendable () -> Void = {}
  ) throws(VLMZError) {
    try options.validate()
    var framing = Conversation.Options()
    framing.templateArguments = options.templateArguments
    let arguments = try framing.arguments()
    let (scheduler, framer) = try VLMZError.wrapping {
      let language = try model.requireLanguage()
      // A template that nothing has is said before memory is taken.
      _ = try Conversation.template(
        options.template, try TemplateChoice(model, language, arguments: arguments))
      let scheduler = try AnswerScheduler(
        model, language, options, pagePositions: pagePositions, masks: masks, costs: costs)
      let frames = try PromptFrames(
        model, language, options.template, arguments: arguments,
        contextLength: scheduler.contextLength)
      return (scheduler, RequestFramer(model: model, frames: frames, options: options))
    }
    self.model = model
    self.framer = framer
    self.pagePositions = pagePositions
    let preparer = PromptPreparer(model, framer.frame, options, pagePositions: pagePositions)
    core = EngineCore(scheduler, preparer, options, now: now, betweenLayers: betweenLayers)
  }

  deinit { core.stop() }

  /// Positions that a prompt and its answer may have together, pictures included.
  public var contextLength: Int { framer.frame.contextLength }

  /// Requests that it has at most, those that wait included.
  public var capacity: Int { framer.options.capacity }

  /// Tokens that answers are made of: ids from 0 to this, excluded.
  package var vocabularyCount: Int { framer.frame.language.layers.config.vocabulary }

  /// Whether prompts may have pictures.
  public var seesPictures: Bool { framer.frame.seesPictures }

  /// Whether prompts may have films.
  public var seesFilms: Bool { framer.frame.language.filmSampling != nil }

  /// Takes a request.
  ///
  /// Template and tokenizer run on the caller's thread. Pictures are encoded afterwards on a thread of
  /// the engine's own; what is wrong with them is thrown by the stream before `.began`.
  ///
  /// - Throws: `.busy` when as many requests wait as may, `.stopped` when none are taken any more,
  ///   `.failed` for one that cannot be answered: options out of range, more than the context has room
  ///   for, pictures for a model that sees none.
  public func submit(_ request: GenerationRequest) throws(EngineError) -> GenerationStream {
    try core.requireRoom()
    let content: EngineTicket.Content
    var prompt: PreparedPrompt?
    do {
      content = try framer.content(of: request)
      if content.pictures.isEmpty {
        prompt = try PreparedPrompt(
          content.ids, images: [], digests: [], scope: framer.options.scope(of: content.client),
          pagePositions: pagePositions)
      }
    } catch { throw EngineError(error) }
    return try core.submit(content, prompt)
  }

  /// What the engine does and has done.
  public var statistics: EngineStatistics { core.statistics }

  /// Takes no more requests, and returns when those that were taken have been answered.
  public func drain() async { await core.drain() }

  /// Takes no more requests, and ends those that were taken as cancelled. Returns at once.
  public func stop() { core.stop() }
}
