import VLMFoundation
import VLMModels
import VLMTensor
import VLMText

/// A language model with a sequence in memory: prompts in, tokens and text out.
///
/// What of a prompt the memory holds already, from its beginning, is not computed again, pictures
/// included: the second question about a picture costs as much as its text.
///
/// Not thread-safe: one caller at a time; inside, the pool's threads share the work.
package final class TextGenerator {
  package let model: LLaMA
  /// What prompts with pictures need; nil for a model that sees none.
  package let pictures: LLaVA?
  package let context: LLaMAContext
  /// Nil when tokens are all that is wanted.
  package let tokenizer: Tokenizer?
  /// Tokens that end a text, unless the options name others.
  package let stopTokens: Set<Int>
  /// The tokens at the positions that the context holds; `embedded` where something else stands.
  package internal(set) var history: [Int] = []
  /// What stands at the positions that the context holds, of prompts that may have pictures.
  var held: [Position] = []
  /// The pictures among them, so that none of their identities is given to another.
  var heldImages: [VisualTokens] = []

  enum Position: Equatable {
    case token(Int)
    case image(ObjectIdentifier, row: Int)
  }

  /// The model's file, for errors; nil where it came from none.
  let file: String?

  /// Called before anything is made of what the model computed; throws when its weights are no longer
  /// what they were.
  let checkWeights: () throws -> Void

  /// What passes of several rows cost here, and what proposals may.
  package var speculation = Speculation()

  /// Sees every token as it is chosen, the one that ends a text included.
  package var observeStep: ((GenerationStep) -> Void)?

  /// Stands in `history` for a position that is no token.
  package static let embedded = -1

  package init(
    model: LLaMA, pictures: LLaVA? = nil, context: LLaMAContext, tokenizer: Tokenizer? = nil,
    stopTokens: Set<Int>, file: String? = nil, checkWeights: @escaping () throws -> Void = {}
  ) {
    self.model = model
    self.pictures = pictures
    self.file = file
    self.context = context
    self.tokenizer = tokenizer
    self.stopTokens = stopTokens
    self.checkWeights = checkWeights
  }

  /// Forgets the sequence that the context holds.
  package func forget() {
    (history, held, heldImages) = ([], [], [])
    context.truncate(to: 0)
  }

  /// What a text continues.
  package enum Prompt {
    /// The whole sequence; what of it the context holds already is not run again.
    case tokens([Int])
    /// Rows that follow the first `position` positions of the context: `[positions, hidden]`.
    case embeddings(MatrixView, position: Int)
  }

  /// Continues `prompt`.
  ///
  /// - Parameters:
  ///   - words: the prompt's tokens as they may be repeated, `embedded` for positions that are none; nil
  ///     for those of `prompt`.
  ///   - cancelled: looked at before each token, and before each block of the prompt's run.
  ///   - observe: sees the hidden states of the prompt.
  ///   - emit: called with each piece of text as soon as it is certain.
  /// - Throws: `ModelError` when the context is too short for the prompt, `GenerationError`.
  package func generate(
    _ prompt: Prompt, _ options: GenerationOptions, words: [Int]? = nil,
    cancelled: CancellationFlag? = nil, observe: LLaMA.Observer? = nil,
    emit: (String) -> Void = { _ in }
  ) throws -> Generation {
    try options.sampling.validate()
    var result = Generation()
    let start = MonotonicClock.seconds
    let first = try run(prompt, &result.timings, observe, cancelled)
    try checkWeights()
    result.timings.promptSeconds = MonotonicClock.seconds - start
    guard let first else {
      result.ending = .cancelled
      return result
    }
    var ids: [Int] = []
    if case .tokens(let tokens) = prompt { ids = tokens }
    let writer = AnswerWriter(
      options, tokenizer: tokenizer, stopTokens: stopTokens,
      promptEnd: options.begunEnd ?? ids.last,
      file: file)
    try write(
      writer, behind: first, speculator(behind: words ?? ids, options), cancelled, &result, emit)
    return result
  }

  /// The logits behind every token of a sequence from its start; see `LLaMA.scoreAll`. What the
  /// context held is forgotten.
  package func score(
    _ tokens: [Int], body: (_ logits: MatrixView, _ position: Int) -> Void
  ) throws {
    forget()
    try inFile { try model.scoreAll(.tokens(tokens), position: 0, context, body: body) }
    history = tokens
    try checkWeights()
  }

  /// Names the model's file in errors that do not.
  func inFile<R>(_ body: () throws -> R) throws -> R {
    guard let file else { return try body() }
    return try ModelError.inFile(file, body)
  }

  /// Runs what the context does not hold; returns the logits behind the prompt, nil when it was
  /// cancelled before they were known. What was run until then is kept.
  private func run(
    _ prompt: Prompt, _ timings: inout Answer.Timings, _ observe: LLaMA.Observer?,
    _ cancelled: CancellationFlag?
  ) throws -> MatrixView? {
    let isCancelled = cancelled.map { flag in { flag.isCancelled } }
    switch prompt {
    case .tokens(let tokens):
      guard !tokens.isEmpty else { throw GenerationError(.emptyPrompt) }
      // The last one is run in any case: its logits are what is wanted.
      var common = zip(history, tokens.dropLast()).prefix { $0 == $1 }.count
      if !context.holds(common, length: tokens.count) { common = 0 }
      timings.reusedTokens = common
      history.removeLast(history.count - common)
      let logits = try model(
        .tokens(Array(tokens[common...])), position: common, context, observe: observe,
        isCancelled: isCancelled)
      history = Array(tokens.prefix(context.count))
      timings.promptTokens = context.count - common
      return context.count == tokens.count ? logits : nil
    case .embeddings(let rows, let position):
      guard rows.rows > 0 else { throw GenerationError(.emptyPrompt) }
      precondition(position >= 0 && position <= history.count, "positions without gaps")
      timings.reusedTokens = position
      history.removeLast(history.count - position)
      let logits = try model(
        .embeddings(rows), position: position, context, observe: observe, isCancelled: isCancelled)
      timings.promptTokens = context.count - position
      history += [Int](repeating: Self.embedded, count: timings.promptTokens)
      return timings.promptTokens == rows.rows ? logits : nil
    }
  }
}
