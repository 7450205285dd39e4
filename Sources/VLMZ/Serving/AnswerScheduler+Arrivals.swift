import VLMFoundation
import VLMModels

/// Short prompts that arrive while a pass is under way: they are read between two of its layers, so that
/// their first token waits neither for the rest of that pass nor for the rows of others.
///
/// Whoever is in the pass waits for it as long as for a piece of a prompt in its own pass, and once at
/// most, so that no answer stands still behind those who come.
extension AnswerScheduler {
  /// Requests that come while a pass is under way.
  struct Arrivals {
    /// Whether there are any; asked before each layer.
    let areWaiting: () -> Bool
    /// Lets those in that fit, by `admit`.
    let letIn: () -> Void
  }

  /// What comes between the layers of a pass.
  func interlude(
    in plan: [Planned], _ arrivals: Arrivals, _ clock: @escaping () -> ContinuousClock.Instant
  ) -> LLaMA.Interlude? {
    guard let aside else { return nil }
    var limit = max(1, options.prefillRows / 4)
    // Prompts that are being read have waited for longer than one that is nearly as long.
    let reading = plan.reduce(0) { $0 + ($1.sequence.isReading ? $1.rows : 0) }
    if reading > 0 { limit = min(limit, reading / 2) }
    guard limit > 0 else { return nil }
    var isOver = false
    var newcomers: [Planned] = []
    return LLaMA.Interlude(room: aside) { [self] in
      guard !isOver, arrivals.areWaiting(), active.count < options.maximumActive else {
        return false
      }
      let known = active.count
      arrivals.letIn()
      newcomers = shortPrompts(active.dropFirst(known), atMost: limit)
      // Who did not fit will not before an answer has ended.
      isOver = !newcomers.isEmpty || arrivals.areWaiting()
      return !newcomers.isEmpty
    } run: { [self] in
      let start = clock()
      do { try run(newcomers, clock, nil) } catch {
        for (sequence, _) in newcomers { fail(sequence, error) }
      }
      counts.interludes += 1
      secondsAside += (clock() - start).seconds
    }
  }

  /// Those of some prompts that can be read to their end now, the shortest first.
  ///
  /// - Parameter rows: of all together.
  private func shortPrompts(
    _ sequences: ArraySlice<EngineSequence>, atMost rows: Int
  ) -> [Planned] {
    var plan: [Planned] = []
    var left = rows
    for sequence in sequences.sorted(by: { $0.missing < $1.missing }) {
      let missing = sequence.missing
      guard missing <= left, sequence.readyRows == missing, !isWaitingForPages(sequence) else {
        continue
      }
      announcePages(of: sequence)
      left -= missing
      plan.append((sequence, missing))
    }
    return plan
  }
}
