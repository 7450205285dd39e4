import VLMModels
import VLMTensor
import VLMText

/// An answer as it grows: chooses its tokens, makes text of them, and knows when it is over.
///
/// Whoever runs the model owns one for each answer, alone or in company, so that the same logits give
/// the same text everywhere.
package struct AnswerWriter {
  /// Tokens of the answer, without the one that ended it.
  package private(set) var tokens: [Int] = []
  /// Nil while the answer goes on.
  package private(set) var ending: Answer.Ending?

  private let options: GenerationOptions
  private let ends: Set<Int>
  private var sampler: Sampler
  private var stops: StopStrings
  private var decoder: StreamDecoder?
  private var constraint: (any TokenConstraint)?
  private var mask: TokenMask?

  /// - Parameters:
  ///   - stopTokens: those that end the text, unless the options name others.
  ///   - promptEnd: the prompt's last token, where a text goes on behind it.
  ///   - constraint: what the answer must be like.
  package init(
    _ options: GenerationOptions, tokenizer: Tokenizer?, stopTokens: Set<Int>, promptEnd: Int?,
    constraint: (any TokenConstraint)? = nil
  ) {
    self.options = options
    self.constraint = constraint
    ends = options.stopTokens ?? stopTokens
    sampler = Sampler(options.sampling)
    stops = StopStrings(options.stopStrings)
    decoder = tokenizer?.stream()
    if options.continuesPrompt, let promptEnd { _ = decoder?.append(promptEnd) }
    if options.maximumTokens <= 0 { ending = .length }
  }

  /// Chooses the next token; nil where the constraint allows none, which ends the answer.
  ///
  /// - Parameters:
  ///   - logits: `[1, vocabulary]`, behind the last position.
  ///   - history: the tokens so far, for the repeat penalty.
  ///   - position: of the logits, for errors.
  /// - Throws: `.notNumbers` for logits that are not finite.
  package mutating func choose(
    _ logits: MatrixView, history: [Int], position: Int
  ) throws(GenerationError) -> Int? {
    guard logits.notFiniteCount == 0 else { throw GenerationError(.notNumbers(position: position)) }
    if constraint != nil {
      guard allow(of: logits.columns) else {
        ending = .stopToken
        return nil
      }
    }
    guard let token = sampler.next(logits, history: history, allowed: mask?.words) else {
      throw GenerationError(.notNumbers(position: position))
    }
    return token
  }

  /// Asks the constraint what may come; false for nothing.
  private mutating func allow(of count: Int) -> Bool {
    var allowed = mask ?? TokenMask(count: count)
    mask = nil
    allowed.removeAll()
    constraint?.mask(into: &allowed)
    let mayEnd = constraint?.mayEnd ?? true
    for token in ends { allowed[token] = mayEnd }
    defer { mask = allowed }
    return !allowed.isEmpty
  }

  /// Takes a token that was chosen.
  ///
  /// - Returns: the text that is certain now.
  package mutating func append(_ token: Int) -> String {
    guard ending == nil else { return "" }
    if ends.contains(token) {
      ending = .stopToken
      return ""
    }
    tokens.append(token)
    constraint?.accept(token)
    let text = stops.push(decoder?.append(token) ?? "")
    if stops.isStopped {
      ending = .stopString
    } else if tokens.count >= options.maximumTokens {
      ending = .length
    }
    return text
  }

  /// Ends an answer that goes on.
  package mutating func end(_ reason: Answer.Ending) { if ending == nil { ending = reason } }

  /// The text that was held back, once the answer has ended.
  package mutating func finish() -> String {
    guard !stops.isStopped else { return "" }
    return stops.push(decoder?.finish() ?? "") + stops.finish()
  }
}
