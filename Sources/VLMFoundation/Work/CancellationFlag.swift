import Synchronization

/// What work throws that was asked to stop. The standard library's error of that meaning lies in the
/// module of its tasks, which programs without tasks need not link.
package struct WorkCancelled: Error {
  package init() {}
}

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
