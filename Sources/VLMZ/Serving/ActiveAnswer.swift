import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

/// An answer that is being written: tokens out of logits, events out of tokens.
struct ActiveAnswer {
  let ticket: EngineTicket
  private(set) var usage: PromptUsage
  private(set) var writer: AnswerWriter
  /// The tokens so far, for the repeat penalty: the prompt's and the answer's that were run.
  private var history: [Int]
  private let tokenizer: Tokenizer
  /// When the last token came.
  private(set) var lastToken: ContinuousClock.Instant?

  /// - Parameters:
  ///   - usage: of its prompt.
  ///   - history: the prompt's tokens; `TextGenerator.embedded` for positions that are none.
  ///   - masks: finds what its grammar allows.
  init(
    _ ticket: EngineTicket, usage: PromptUsage, history: [Int], tokenizer: Tokenizer,
    masks: MaskWorker
  ) {
    self.ticket = ticket
    self.usage = usage
    self.history = history
    self.tokenizer = tokenizer
    writer = AnswerWriter(
      ticket.options, tokenizer: tokenizer, stopTokens: [],
      promptEnd: ticket.begunEnd
        ?? history.last.flatMap { $0 == TextGenerator.embedded ? nil : $0 }, masks: masks)
  }

  mutating func add(cached positions: Int) { usage.cachedTokens += positions }

  /// Chooses the token behind `logits`, and tells of it.
  ///
  /// - Parameter position: of the logits.
  /// - Returns: the token that is to be run next; nil when the answer has ended.
  /// - Throws: `GenerationError` for logits that are no numbers.
  mutating func take(
    _ logits: MatrixView, position: Int, at now: ContinuousClock.Instant
  ) throws(GenerationError) -> Int? {
    let token = try writer.choose(logits, history: history, position: position)
    let (count, skipsSpace) = (writer.tokens.count, writer.skipsSpace)
    let text = writer.append(token)
    // A token that ends the answer is no part of it.
    guard writer.tokens.count > count else { return nil }
    let probabilities = ticket.alternatives.map {
      Self.probabilities(logits, of: token, alternatives: $0, tokenizer, skipsSpace: skipsSpace)
    }
    ticket.yield(
      .token(
        GeneratedToken(
          id: token, text: text, probability: probabilities?.own,
          alternatives: probabilities?.best ?? [])))
    lastToken = now
    history.append(token)
    return writer.ending == nil ? token : nil
  }

  /// Whether its next token can be chosen without waiting.
  var isSettled: Bool { writer.isSettled }

  /// Ends it where its grammar says so, once that is known.
  mutating func settle() { writer.settle() }

  /// Ends an answer that goes on.
  mutating func end(_ reason: Answer.Ending) { writer.end(reason) }

  /// Why it has ended: from outside, or by itself.
  func reason(or other: GenerationEnd.Reason?) -> GenerationEnd.Reason {
    other ?? writer.ending?.reason ?? .length
  }

  /// Tells how it ended.
  ///
  /// - Parameter reason: from outside; nil for the answer's own.
  mutating func finish(_ reason: GenerationEnd.Reason? = nil) {
    ticket.finish(
      GenerationEnd(
        reason: self.reason(or: reason), text: writer.finish(), usage: usage,
        completionTokens: writer.tokens.count))
  }

  /// The probabilities behind a row of logits: softmax in f64.
  ///
  /// - Parameter skipsSpace: whether a space that a token begins with is left out of its bytes, as it
  ///   is of the text.
  private static func probabilities(
    _ logits: MatrixView, of token: Int, alternatives: Int, _ tokenizer: Tokenizer, skipsSpace: Bool
  ) -> (own: TokenProbability, best: [TokenProbability]) {
    logits.withRow(0) { values in
      let largest = Double(values.max() ?? 0)
      let total = values.reduce(0.0) { $0 + exp(Double($1) - largest) }
      let norm = largest + log(total)
      func probability(_ id: Int) -> TokenProbability {
        TokenProbability(
          id: id, bytes: tokenizer.bytes(of: id, skipsSpace: skipsSpace),
          logarithm: Double(values[id]) - norm)
      }
      // A short list, kept in order: as a rule a value is below its last.
      var best: [Int] = []
      for id in values.indices where alternatives > 0 {
        if best.count == alternatives, let last = best.last, values[id] <= values[last] { continue }
        let place = best.firstIndex { values[$0] < values[id] } ?? best.count
        best.insert(id, at: place)
        if best.count > alternatives { best.removeLast() }
      }
      return (probability(token), best.map(probability))
    }
  }
}

extension Answer.Ending {
  /// The same as an engine tells it.
  var reason: GenerationEnd.Reason {
    switch self {
    case .stopToken, .stopString, .complete: .stop
    case .length, .context: .length
    case .cancelled: .cancelled
    }
  }
}
