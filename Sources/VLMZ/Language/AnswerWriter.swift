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
  private let constraint: AnswerConstraint?

  /// - Parameters:
  ///   - stopTokens: those that end the text, unless the options name others.
  ///   - promptEnd: the prompt's last token, where a text goes on behind it.
  ///   - file: the model's, for errors.
  package init(
    _ options: GenerationOptions, tokenizer: Tokenizer?, stopTokens: Set<Int>, promptEnd: Int?,
    file: String? = nil
  ) {
    self.init(
      options, tokenizer: tokenizer, stopTokens: stopTokens, promptEnd: promptEnd, file: file,
      masks: nil)
  }

  /// - Parameter masks: finds what a grammar allows; then the answer is not to go on before it is settled.
  init(
    _ options: GenerationOptions, tokenizer: Tokenizer?, stopTokens: Set<Int>, promptEnd: Int?,
    file: String? = nil, masks: MaskWorker?
  ) {
    self.options = options
    self.file = file
    let ends = options.stopTokens ?? stopTokens
    self.ends = ends
    sampler = Sampler(options.sampling)
    stops = StopStrings(options.stopStrings)
    decoder = tokenizer?.stream()
    if options.continuesPrompt, let promptEnd { _ = decoder?.append(promptEnd) }
    let skipsSpace = decoder?.skipsSpace ?? false
    constraint = options.grammar.map {
      AnswerConstraint($0, endTokens: ends, skipsSpace: skipsSpace, worker: masks)
    }
    settle()
  }

  /// Whether a space that the next token begins with is left out of the text.
  var skipsSpace: Bool { decoder?.skipsSpace ?? false }

  /// Tokens that the answer may still have.
  package var tokensLeft: Int { options.maximumTokens - tokens.count }

  /// Whether it is known what the grammar says of the tokens so far.
  var isSettled: Bool { constraint?.isSettled ?? true }

  /// Ends an answer that is whole or long enough, once that is known.
  mutating func settle() {
    guard ending == nil, isSettled else { return }
    if constraint?.isComplete ?? false {
      ending = .complete
    } else if tokens.count >= options.maximumTokens {
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
    let mask = constraint?.allowed()
    if let mask, mask.isEmpty {
      throw GenerationError(file: file, .noAllowedToken(after: tokens.count))
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
    if stops.isStopped { ending = .stopString }
    settle()
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
