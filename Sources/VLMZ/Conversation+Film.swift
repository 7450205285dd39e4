import VLMFoundation
import VLMText

extension Conversation {
  /// Answers a question about a film; question and answer become a part of the conversation, with the
  /// frames that the model sees.
  ///
  /// The model takes as many of the frames as it was trained on, evenly spread; the others are not
  /// decoded. The prompt is upstream's: how long the film is, and each frame behind its time.
  ///
  /// - Parameters:
  ///   - question: any text without `<image>`: frames have places of their own before it.
  ///   - frames: all frames of the film, in order.
  ///   - rate: of them, so many are a second: above 0, at most 1000.
  ///   - options: how the answer is made.
  ///   - onText: as for `ask(_:about:options:onText:)`.
  /// - Throws: `VLMZError`, after which the conversation is as it was: `.notCapable` for a model that was
  ///   trained on no films, `.invalidArgument` for no frames, a rate out of range or a question with
  ///   `<image>`, and as `encode` and `ask(_:about:options:onText:)`.
  @discardableResult
  public func ask(
    _ question: String, aboutFilm frames: [Image], framesPerSecond rate: Double,
    options: AnswerOptions = AnswerOptions(), onText: (String) -> Void = { _ in }
  ) throws(VLMZError) -> Answer {
    let film = try Film(frames: frames, framesPerSecond: rate)
    return try ask(question, film, options, CancellationFlag(), onText)
  }

  /// The same without blocking the task's thread; `onText` is called on one of the library's threads.
  /// Cancelling the task cancels the answer.
  @discardableResult
  public func ask(
    _ question: String, aboutFilm frames: [Image], framesPerSecond rate: Double,
    options: AnswerOptions = AnswerOptions(),
    onText: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws(VLMZError) -> Answer {
    let film = try Film(frames: frames, framesPerSecond: rate)
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.ask(question, film, options, flag, onText)
    }
  }

  /// Answers a question about a film, whichever way its frames are given.
  ///
  /// - Throws: as `ask(_:aboutFilm:framesPerSecond:options:onText:)`; `.badData` also for frames that cannot
  ///   be decoded.
  @discardableResult
  public func ask(
    _ question: String, about film: Film, options: AnswerOptions = AnswerOptions(),
    onText: (String) -> Void = { _ in }
  ) throws(VLMZError) -> Answer {
    try ask(question, film, options, CancellationFlag(), onText)
  }

  /// The same without blocking the task's thread; `onText` is called on one of the library's threads.
  /// Cancelling the task cancels the answer.
  @discardableResult
  public func ask(
    _ question: String, about film: Film, options: AnswerOptions = AnswerOptions(),
    onText: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws(VLMZError) -> Answer {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.ask(question, film, options, flag, onText)
    }
  }

  private func ask(
    _ question: String, _ film: Film, _ options: AnswerOptions, _ flag: CancellationFlag,
    _ onText: (String) -> Void
  ) throws(VLMZError) -> Answer {
    try gate.enter(flag) { flag in
      guard let sampling = language.filmSampling else {
        throw VLMZError(
          .notCapable, "\(model.path.escapedForDisplay()): was trained on no films")
      }
      try VLMZError.require(
        !question.contains(ImagePrompt.marker), "question", found: ImagePrompt.marker,
        expected: "none: frames have places of their own before it")
      var generation = try options.validated(language.defaults)
      generation.grammar = try language.grammar(of: options.format)
      dropWaiting()
      defer { dropWaiting() }
      let numbers = film.frames(sampling)
      for number in numbers {
        let frame = try model.encode(
          try film.frame(number), EncodingOptions(), pool: generator.context.pool, flag,
          isFrame: true)
        add(frame.tokens)
      }
      return try answer(
        film.series(numbers) + question, generation, cancelled: flag, emit: onText)
    }
  }
}
