import VLMFoundation
import VLMImages
import VLMModels
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
    try ask(question, aboutFilm: frames, rate, options, CancellationFlag(), onText)
  }

  /// The same without blocking the task's thread; `onText` is called on one of the library's threads.
  /// Cancelling the task cancels the answer.
  @discardableResult
  public func ask(
    _ question: String, aboutFilm frames: [Image], framesPerSecond rate: Double,
    options: AnswerOptions = AnswerOptions(),
    onText: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws(VLMZError) -> Answer {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.ask(question, aboutFilm: frames, rate, options, flag, onText)
    }
  }

  private func ask(
    _ question: String, aboutFilm frames: [Image], _ rate: Double, _ options: AnswerOptions,
    _ flag: CancellationFlag, _ onText: (String) -> Void
  ) throws(VLMZError) -> Answer {
    try gate.enter(flag) { flag in
      guard let sampling = language.filmSampling else {
        throw VLMZError(
          .notCapable, "\(model.path.escapedForDisplay()): was trained on no films")
      }
      try VLMZError.require(
        !frames.isEmpty, "frames", found: "none", expected: "those of a film")
      try VLMZError.require(
        rate > 0 && rate <= 1000, "frames per second", found: "\(rate)",
        expected: "more than 0, at most 1000")
      try VLMZError.require(
        !question.contains(ImagePrompt.marker), "question", found: ImagePrompt.marker,
        expected: "none: frames have places of their own before it")
      var generation = try options.validated(language.defaults)
      generation.grammar = try language.grammar(of: options.format)
      dropWaiting()
      defer { dropWaiting() }
      let numbers = sampling.frames(of: frames.count, rate: rate)
      for number in numbers {
        let frame = try model.encode(
          frames[number], EncodingOptions(), pool: generator.context.pool, flag, isFrame: true)
        add(frame.tokens)
      }
      let text = VideoPrompt.text(question, frames: numbers, of: frames.count, rate: rate)
      return try answer(text, generation, cancelled: flag, emit: onText)
    }
  }
}
