import VLMFoundation
import VLMModels

/// Answers that repeat their prompts or themselves: passes with few rows have more of them.
extension AnswerScheduler {
  /// What finds repetitions for a request; nil where it wants none, or where they would change the text.
  func speculator(for ticket: EngineTicket) -> Speculator? {
    let most = min(options.speculatedTokens, ticket.options.speculatedTokens)
    guard most > 0, keepsRowsApart else { return nil }
    return Speculator(
      prompt: ticket.ids, expecting: min(ticket.options.maximumTokens, contextLength),
      ends: ticket.options.stopTokens ?? [], atMost: most)
  }

  /// Gives answers more rows, where that makes more tokens in the time. A pass that reads prompts has
  /// enough to do.
  ///
  /// - Returns: whether the time of the pass tells something for the next ones.
  func propose(_ plan: inout [Planned]) -> Bool {
    let limit = min(PassCosts.maximumRows, workspace.chunkRows)
    guard plan.count <= limit, plan.allSatisfy({ $0.sequence.next != nil }),
      plan.contains(where: { $0.sequence.speculator != nil })
    else { return false }
    let proposals = plan.map { proposal(for: $0.sequence) }
    let shares = speculation.shares(of: proposals, rows: limit)
    for (place, share) in shares.enumerated() where share > 0 {
      plan[place].sequence.proposal = Array(proposals[place].tokens.prefix(share))
      plan[place].rows += share
    }
    return true
  }

  private func proposal(for sequence: EngineSequence) -> Speculator.Proposal {
    guard let speculator = sequence.speculator else { return Speculator.Proposal() }
    let rows = min(
      sequence.paged.togetherRows(language.layers), sequence.answer.writer.tokensLeft,
      contextLength - sequence.paged.count)
    return speculator.proposal(atMost: rows - 1)
  }

  /// Whether a row counts: the token that it stands behind was chosen, and it is known, or will be soon,
  /// what may follow.
  func isWanted(_ row: Int, of sequence: EngineSequence) -> Bool {
    guard row <= sequence.proposal.count, sequence.next == sequence.proposal[row - 1],
      !sequence.ticket.flag.isCancelled
    else { return false }
    if !sequence.answer.isSettled { masks.settle(milliseconds: Self.patience) }
    guard sequence.answer.isSettled else {
      // Its grammar takes longer than that: once is enough.
      sequence.speculator = nil
      return false
    }
    sequence.answer.settle()
    return sequence.answer.writer.ending == nil
  }

  /// Notes what a pass without prompts has done.
  func note(_ plan: [Planned], seconds: Double) {
    let proposed = plan.reduce(0) { $0 + $1.rows - 1 }
    let accepted = plan.reduce(0) { $0 + max(0, $1.sequence.decided - 1) }
    counts.proposedTokens += proposed
    counts.acceptedTokens += accepted
    speculation.note(rows: plan.count, proposed: proposed, seconds: seconds)
    for _ in 0..<accepted { speculation.noteAccepted(rows: plan.count) }
  }
}
