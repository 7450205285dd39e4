import VLMFoundation
import VLMModels
import VLMTensor

extension Conversation {
  /// Encodes a picture for questions. Whoever keeps it may ask often, here or in other conversations
  /// of the model, at the cost of the text alone.
  ///
  /// - Parameters:
  ///   - image: any picture; how it is prepared is the model's own.
  ///   - options: another size than the model's own.
  /// - Throws: `VLMZError`: `.notCapable` for a model that sees no pictures, `.invalidArgument` for a
  ///   size that cannot be, `.badData` for a damaged or too small picture, `.noMemory`, `.busy`,
  ///   `.cancelled`.
  public func encode(
    _ image: Image, options: EncodingOptions = EncodingOptions()
  ) throws(VLMZError) -> EncodedImage {
    try gate.enter { flag in
      try model.encode(image, options, pool: generator.context.pool, flag)
    }
  }

  /// The same without blocking the task's thread. Cancelling the task cancels it.
  public func encode(
    _ image: Image, options: EncodingOptions = EncodingOptions()
  ) async throws(VLMZError) -> EncodedImage {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.gate.enter(flag) { flag in
        try self.model.encode(image, options, pool: self.generator.context.pool, flag)
      }
    }
  }

  /// Answers a question; question and answer become a part of the conversation.
  ///
  /// Where a picture stands in the question may be said with `<image>`, once for each of `images`;
  /// otherwise they stand before it. Pictures of earlier questions are still seen.
  ///
  /// - Parameters:
  ///   - question: any text; without a template, the text to go on from.
  ///   - images: pictures that this question is about, encoded by a session or conversation of the
  ///     same model.
  ///   - options: how the answer is made.
  ///   - onText: called on this thread with each piece of text as soon as it is certain. It may call
  ///     `cancel()`, and nothing else of this conversation.
  /// - Returns: the answer, also of a call that was cancelled: its ending says so. One that was
  ///   cancelled before its first token is no part of the conversation, nor is its question.
  /// - Throws: `VLMZError`, after which the conversation is as it was: `.invalidArgument` for options
  ///   out of range, a format that cannot be read, an empty prompt, another number of `<image>` than of pictures, pictures of another
  ///   model, or more than the context has room for; `.notCapable` for pictures that the model cannot
  ///   see; `.badData` for weights that make no numbers, or a template that fails; `.io` for a file
  ///   that has changed; `.busy`.
  @discardableResult
  public func ask(
    _ question: String, about images: [EncodedImage] = [],
    options: AnswerOptions = AnswerOptions(), onText: (String) -> Void = { _ in }
  ) throws(VLMZError) -> Answer {
    try ask(question, images, options, CancellationFlag(), onText)
  }

  /// The same without blocking the task's thread; `onText` is called on one of the library's threads.
  /// Cancelling the task cancels the answer.
  @discardableResult
  public func ask(
    _ question: String, about images: [EncodedImage] = [],
    options: AnswerOptions = AnswerOptions(),
    onText: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws(VLMZError) -> Answer {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.ask(question, images, options, flag, onText)
    }
  }

  /// The same as a stream: pieces of text as they are certain, then the whole answer.
  ///
  /// The call begins at once. It is cancelled when the stream is let go before its end.
  ///
  /// - Returns: a stream whose errors are those of `ask`, as `VLMZError`.
  public func stream(
    _ question: String, about images: [EncodedImage] = [],
    options: AnswerOptions = AnswerOptions()
  ) -> AsyncThrowingStream<AnswerPart, any Error> {
    let flag = CancellationFlag()
    return AsyncThrowingStream { continuation in
      continuation.onTermination = { _ in flag.cancel() }
      Background.start {
        do {
          let answer = try self.ask(question, images, options, flag) { text in
            continuation.yield(.text(text))
          }
          continuation.yield(.end(answer))
          continuation.finish()
        } catch {
          continuation.finish(throwing: VLMZError(error))
        }
      } failed: {
        continuation.finish(throwing: Background.noThread)
      }
    }
  }

  private func ask(
    _ question: String, _ images: [EncodedImage], _ options: AnswerOptions,
    _ flag: CancellationFlag, _ onText: (String) -> Void
  ) throws(VLMZError) -> Answer {
    try gate.enter(flag) { flag in
      for image in images { try model.require(isOwn: image.model, "picture") }
      if !images.isEmpty, !seesPictures {
        throw VLMZError(.notCapable, "\(model.path.escapedForDisplay()): sees no pictures")
      }
      var generation = try options.validated(language.defaults)
      generation.grammar = try language.grammar(of: options.format)
      // Pictures belong to the question that they came with, whatever becomes of it.
      dropWaiting()
      defer { dropWaiting() }
      for image in images { add(image.tokens) }
      return try answer(question, generation, cancelled: flag, emit: onText)
    }
  }
}

extension Model {
  /// - Throws: `.invalidArgument` for something that another model made.
  func require(isOwn other: Model, _ thing: String) throws(VLMZError) {
    try VLMZError.require(
      other === self, thing, found: "one of another model, \(other.path)",
      expected: "one that this model made, \(path)")
  }

  func encode(
    _ image: Image, _ options: EncodingOptions, pool: WorkerPool, _ flag: CancellationFlag,
    isFrame: Bool = false, observe: TowerObserver? = nil
  ) throws -> EncodedImage {
    guard capabilities.contains(.seesPictures), let language else {
      throw VLMZError(
        .notCapable, "\(path.escapedForDisplay()): encodes no pictures for questions")
    }
    let start = MonotonicClock.seconds
    var geometry = options.geometry
    geometry.isFrame = isFrame
    let picture = try image.withSource { source in
      try language.prepare(source, name: image.name, geometry: geometry, limits: image.limits)
    }
    try flag.check()
    let tokens = try ModelError.inFile(image.name) {
      try language.encode(picture, pool: pool, cancelled: flag, observe: observe)
    }
    try flag.check()
    return EncodedImage(
      inputWidth: picture.width, inputHeight: picture.height,
      seconds: MonotonicClock.seconds - start, model: self, tokens: tokens)
  }

  /// - Throws: `.notLanguage` for a model that writes no text.
  package func requireLanguage() throws(GenerationError) -> LanguageModel {
    guard let language else {
      throw GenerationError(file: path, .notLanguage(architecture: architecture))
    }
    return language
  }

  /// Threads of a caller's own, or those that all share.
  func pool(threads: Int?) throws(VLMZError) -> WorkerPool {
    guard let threads else { return pool }
    try Self.check(threads: threads)
    return WorkerPool(threadCount: threads)
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
