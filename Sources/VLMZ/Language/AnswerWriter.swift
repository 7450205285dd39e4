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
  private let file: String?
  private let ends: Set<Int>
  private var sampler: Sampler
  private var stops: StopStrings
  private var decoder: StreamDecoder?
  private var constraint: GrammarConstraint?
  private var mask: TokenMask?

  /// - Parameters:
  ///   - stopTokens: those that end the text, unless the options name others.
  ///   - promptEnd: the prompt's last token, where a text goes on behind it.
  ///   - file: the model's, for errors.
  package init(
    _ options: GenerationOptions, tokenizer: Tokenizer?, stopTokens: Set<Int>, promptEnd: Int?,
    file: String? = nil
  ) {
    self.options = options
    self.file = file
    ends = options.stopTokens ?? stopTokens
    sampler = Sampler(options.sampling)
    stops = StopStrings(options.stopStrings)
    decoder = tokenizer?.stream()
    if options.continuesPrompt, let promptEnd { _ = decoder?.append(promptEnd) }
    constraint = options.grammar?.constraint(
      endTokens: ends, skipsSpace: decoder?.skipsSpace ?? false)
    mask = options.grammar.map { TokenMask(count: $0.vocabulary.count) }
    if constraint?.isComplete ?? false {
      ending = .complete
    } else if options.maximumTokens <= 0 {
      ending = .length
    }
  }

  /// Chooses the next token.
  ///
  /// - Parameters:
  ///   - logits: `[1, vocabulary]`, behind the last position.
  ///   - history: the tokens so far, for the repeat penalty.
  ///   - position: of the logits, for errors.
  /// - Throws: `.notNumbers` for logits that are not finite, `.noAllowedToken` where no token of the
  ///   vocabulary goes on as the grammar says.
  package mutating func choose(
    _ logits: MatrixView, history: [Int], position: Int
  ) throws(GenerationError) -> Int {
    if var allowed = mask {
      constraint?.allowed(into: &allowed)
      mask = allowed
      guard !allowed.isEmpty else {
        throw GenerationError(file: file, .noAllowedToken(after: tokens.count))
      }
    }
    guard logits.notFiniteCount == 0,
      let token = sampler.next(logits, history: history, answer: tokens, allowed: mask)
    else { throw GenerationError(.notNumbers(position: position)) }
    return token
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
    } else if constraint?.isComplete ?? false {
      ending = .complete
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
