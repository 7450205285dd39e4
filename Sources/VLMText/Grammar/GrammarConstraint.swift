/// Says which tokens may come next in a text, token after token: where it has come to in its grammar. A
/// copy goes its own way.
package struct GrammarConstraint: Sendable {
  private let matcher: GrammarMatcher
  private var tables: GrammarTables
  private var state: Int32
  private let endTokens: Set<Int>
  /// Whether the next token begins the text and loses its space.
  private var skipsSpace: Bool
  private var stacks: StackSets.Stacks
  private var isEnded = false

  init(
    _ matcher: GrammarMatcher, _ tables: GrammarTables, _ state: Int32, endTokens: Set<Int>,
    skipsSpace: Bool
  ) {
    self.matcher = matcher
    self.tables = tables
    self.state = state
    self.endTokens = endTokens
    self.skipsSpace = skipsSpace
    stacks = tables.with { $0.states.stacks[state] }
  }

  /// Whether the text may end here.
  package var canEnd: Bool { stacks.hasEmpty && !isEnded }

  /// Whether the text is whole, so that nothing may follow but its end.
  package var isComplete: Bool { isEnded || stacks.entries.isEmpty && stacks.hasEmpty }

  /// Puts into `mask`, whose members are replaced, the tokens that may follow: none when nothing may, and
  /// where the grammar has so many ways to go on that finding them takes too much work.
  package mutating func allowed(into mask: inout TokenMask) {
    guard !isEnded else { return mask.removeAll() }
    let (state, isFirst) = (state, skipsSpace)
    let found = tables.with { isFirst ? $0.firstMask(state) : $0.mask(state) }
    guard let found else { return mask.removeAll() }
    mask = found
    for token in endTokens {
      if canEnd { mask.insert(token) } else { mask.remove(token) }
    }
  }

  /// Goes on behind a token, one of those that were allowed; behind any other nothing may follow.
  package mutating func accept(_ token: Int) {
    guard !endTokens.contains(token) || !canEnd else {
      isEnded = true
      return
    }
    var bytes = matcher.vocabulary.bytes(of: token)
    let isNothing = bytes.isEmpty || endTokens.contains(token)
    if skipsSpace, bytes.first == 0x20, !matcher.vocabulary.spaceBytes.contains(token) {
      bytes = bytes.dropFirst()
    }
    skipsSpace = false
    makeRoom()
    let from = state
    (state, stacks) = tables.with { engine in
      let next = isNothing ? StackSets.none : engine.step(from, bytes)
      return (next, engine.states.stacks[next])
    }
  }

  /// Goes on in new tables when these take too much memory.
  private mutating func makeRoom() {
    guard tables.with({ $0.isFull }) else { return }
    let (old, from) = (tables.snapshot, state)
    tables = matcher.tables()
    state = tables.with { $0.copy(from, of: old) }
  }
}
