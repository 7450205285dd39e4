import VLMFoundation
import VLMText

/// The grammars that were used last with a model's vocabulary, so that each is read once and what was
/// found out of it serves all answers.
final class GrammarCache: @unchecked Sendable {
  private let tokenizer: Tokenizer
  private let lock = Lock()
  private var vocabulary: TokenVocabulary?
  /// The last one used is the last.
  private var matchers: [(format: AnswerFormat, matcher: GrammarMatcher)] = []

  /// Each may keep 100 MB at worst, and mostly keeps less than 10.
  private static let capacity = 8

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// - Throws: `VLMZError` with `.invalidArgument` for a format that cannot be read.
  func matcher(of format: AnswerFormat) throws(VLMZError) -> GrammarMatcher? {
    let known = lock.withLock { () -> GrammarMatcher? in
      guard let index = matchers.firstIndex(where: { $0.format.isSame(as: format) }) else {
        return nil
      }
      let found = matchers.remove(at: index)
      matchers.append(found)
      return found.matcher
    }
    if let known { return known }
    let grammar: Grammar?
    do { grammar = try format.compiled() } catch {
      throw VLMZError(.invalidArgument, error.description)
    }
    guard let grammar else { return nil }
    return lock.withLock {
      let vocabulary = vocabulary ?? TokenVocabulary(tokenizer)
      self.vocabulary = vocabulary
      let matcher = GrammarMatcher(grammar, vocabulary)
      if matchers.count == Self.capacity { matchers.removeFirst() }
      matchers.append((format, matcher))
      return matcher
    }
  }
}

extension AnswerFormat {
  /// Whether it is written with the same bytes. Equal strings need not be: `==` takes "é" in one scalar for
  /// "e" with an accent, of which a grammar has one.
  fileprivate func isSame(as other: AnswerFormat) -> Bool {
    switch (self, other) {
    case (.jsonSchema(let a), .jsonSchema(let b)), (.grammar(let a), .grammar(let b)):
      a.hasSameBytes(as: b)
    default: self == other
    }
  }
}
