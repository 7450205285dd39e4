import VLMFoundation
import VLMText

/// What a grammar allows as an answer's next token: found when it is asked for, or by a worker before.
///
/// One answer owns it and calls from one thread at a time.
final class AnswerConstraint: @unchecked Sendable {
  private let worker: MaskWorker?
  private let lock = Lock()
  /// Whether the worker is to look at the last token; guarded by `lock`. While it is, what stands below
  /// is the worker's.
  private var isPending = false
  private var constraint: GrammarConstraint?
  private var mask: TokenMask

  /// - Parameters:
  ///   - endTokens: those that end the answer.
  ///   - skipsSpace: see `GrammarMatcher.constraint`.
  ///   - worker: nil to find what is allowed on the caller's thread.
  init(
    _ matcher: GrammarMatcher, endTokens: Set<Int>, skipsSpace: Bool, worker: MaskWorker?
  ) {
    self.worker = worker
    mask = TokenMask(count: matcher.vocabulary.count)
    proceed { $0 = matcher.constraint(endTokens: endTokens, skipsSpace: skipsSpace) }
  }

  /// Whether nothing has to be waited for.
  var isSettled: Bool { lock.withLock { !isPending } }

  /// Whether nothing may follow. Not asked before it is settled.
  var isComplete: Bool { constraint?.isComplete ?? false }

  /// The tokens that may follow; waits until that is known.
  func allowed() -> TokenMask {
    while !isSettled, let worker { worker.awaitOne() }
    if worker == nil { constraint?.allowed(into: &mask) }
    return mask
  }

  /// Goes on behind a token.
  func accept(_ token: Int) { proceed { $0?.accept(token) } }

  private func proceed(_ step: @escaping @Sendable (inout GrammarConstraint?) -> Void) {
    guard let worker else { return step(&constraint) }
    lock.withLock { isPending = true }
    // An answer that was let go needs none.
    worker.add { [weak self] in
      guard let self else { return }
      step(&constraint)
      if !isComplete { constraint?.allowed(into: &mask) }
      lock.withLock { isPending = false }
    }
  }
}
