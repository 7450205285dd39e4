import VLMFoundation

/// A grammar with a vocabulary, shared by all texts that follow it. Safe to use from any thread.
package final class GrammarMatcher: @unchecked Sendable, Equatable {
  package let grammar: Grammar
  package let vocabulary: TokenVocabulary
  private let lock = Lock()
  private var current: GrammarTables

  package init(_ grammar: Grammar, _ vocabulary: TokenVocabulary) {
    (self.grammar, self.vocabulary) = (grammar, vocabulary)
    current = GrammarTables(GrammarEngine(grammar.automaton, vocabulary))
  }

  /// The constraint of a new text.
  ///
  /// - Parameters:
  ///   - endTokens: tokens that end a text, allowed where the grammar may end and nowhere else.
  ///   - skipsSpace: whether a space at the start of the text is left out of it, as
  ///     `StreamDecoder.skipsSpace` says.
  package func constraint(endTokens: Set<Int>, skipsSpace: Bool = false) -> GrammarConstraint {
    let tables = tables()
    let start = tables.with { $0.start() }
    return GrammarConstraint(
      self, tables, start, endTokens: endTokens.filter { (0..<vocabulary.count).contains($0) },
      skipsSpace: skipsSpace)
  }

  /// Tables with room.
  func tables() -> GrammarTables {
    lock.withLock {
      if current.with({ $0.isFull }) {
        current = GrammarTables(GrammarEngine(grammar.automaton, vocabulary))
      }
      return current
    }
  }

  /// Whether they are the same one.
  package static func == (a: GrammarMatcher, b: GrammarMatcher) -> Bool { a === b }
}

/// An engine that several texts use in turn.
final class GrammarTables: @unchecked Sendable {
  private let lock = Lock()
  private var engine: GrammarEngine

  init(_ engine: GrammarEngine) { self.engine = engine }

  func with<R>(_ body: (inout GrammarEngine) -> R) -> R { lock.withLock { body(&engine) } }

  /// What was found so far, for copies of its states.
  var snapshot: GrammarEngine { lock.withLock { engine } }
}
