/// Proposes how an answer goes on, where it repeats its prompt or itself.
///
/// A proposal costs some time, never a token: the model decides each of them.
struct Speculator {
  /// Tokens that may come next, and how probable it is that all up to each of them do.
  struct Proposal {
    var tokens: [Int] = []
    var chances: [Double] = []
  }

  private var index: RepetitionIndex
  private var odds = RepetitionOdds()
  private var match: RepetitionIndex.Match?
  private let ends: Set<Int>
  private let most: Int

  /// - Parameters:
  ///   - prompt: its tokens; negative numbers stand for positions that are none.
  ///   - count: tokens that the answer may have beside it.
  ///   - ends: tokens that end the answer: nothing is proposed from the first of them on.
  ///   - most: tokens of a proposal at most.
  init(prompt: some Sequence<Int>, expecting count: Int, ends: Set<Int>, atMost most: Int) {
    let prompt = Array(prompt)
    let (expected, overflow) = prompt.count.addingReportingOverflow(count)
    index = RepetitionIndex(expecting: overflow ? prompt.count : expected)
    self.ends = ends
    self.most = min(most, PassCosts.maximumRows - 1)
    for token in prompt { index.append(token) }
    match = index.match(expected: nil)
  }

  /// Takes the answer's next token.
  mutating func append(_ token: Int) {
    if let match {
      odds.note(match.length, hit: index.tokens[match.source] == Int32(clamping: token))
    }
    index.append(token)
    match = index.match(expected: match.map { $0.source + 1 })
  }

  /// What may follow now.
  ///
  /// - Parameter limit: tokens at most.
  func proposal(atMost limit: Int) -> Proposal {
    guard let match, min(limit, most) > 0 else { return Proposal() }
    var proposal = Proposal()
    var chance = 1.0
    for (step, token) in index.continuation(of: match, atMost: min(limit, most)).enumerated() {
      guard !ends.contains(token) else { break }
      chance *= odds[match.length + step]
      proposal.tokens.append(token)
      proposal.chances.append(chance)
    }
    return proposal
  }
}

/// What is known of the passes of one model in one place, and what proposals may cost there.
package struct Speculation: Sendable, Equatable {
  package var costs: PassCosts
  package private(set) var budget = SpeculationBudget()

  /// Tokens of a proposal where nobody says otherwise.
  package static let usualTokens = PassCosts.maximumRows - 1

  package init(costs: PassCosts = PassCosts()) { self.costs = costs }

  /// What a proposal has to save at least, as a factor: estimates are not exact.
  private static let margin = 1.03

  /// How many tokens of each proposal the next pass should decide, so that it makes most tokens in its
  /// time.
  ///
  /// - Parameters:
  ///   - proposals: one for each row that the pass has in any case.
  ///   - limit: rows that it may have.
  func shares(
    of proposals: [Speculator.Proposal], rows limit: Int = PassCosts.maximumRows
  ) -> [Int] {
    var shares = proposals.map { _ in 0 }
    let (rows, limit) = (proposals.count, min(limit, PassCosts.maximumRows))
    guard rows > 0, rows < limit else { return shares }
    let plain = Double(rows) / costs[rows]
    var (best, bestShares) = (plain * Self.margin, shares)
    var expected = Double(rows)
    for total in rows + 1...limit {
      // Chances fall along a proposal: the most probable tokens of all are beginnings of proposals.
      var next: (place: Int, chance: Double)?
      for (place, proposal) in proposals.enumerated() where shares[place] < proposal.tokens.count {
        let chance = proposal.chances[shares[place]]
        if chance > next?.chance ?? 0 { next = (place, chance) }
      }
      guard let next, costs[total] / costs[rows] - 1 <= budget.balance else { break }
      shares[next.place] += 1
      expected += next.chance
      if expected / costs[total] > best {
        (best, bestShares) = (expected / costs[total], shares)
      }
    }
    return bestShares
  }

  /// Notes a pass.
  ///
  /// - Parameters:
  ///   - rows: that it has in any case, one for each answer.
  ///   - proposed: rows beside them.
  mutating func note(rows: Int, proposed: Int, seconds: Double) {
    guard rows + proposed <= PassCosts.maximumRows else { return }
    budget.spend(costs[rows + proposed] / costs[rows] - 1)
    costs.note(rows: rows + proposed, seconds: seconds)
  }

  /// Notes a token that need not be computed any more, in a pass for `rows` answers.
  mutating func noteAccepted(rows: Int) { budget.earn(1 / Double(rows)) }
}
