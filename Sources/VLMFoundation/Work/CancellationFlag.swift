import Synchronization

/// Asks a piece of work to stop. Whoever does the work looks at it between its steps.
///
/// Any thread may call, and a signal handler: it is one atomic.
package final class CancellationFlag: Sendable {
  private let value = Atomic<Bool>(false)

  package init() {}

  package func cancel() { value.store(true, ordering: .relaxed) }
  package func reset() { value.store(false, ordering: .relaxed) }
  package var isCancelled: Bool { value.load(ordering: .relaxed) }
}
