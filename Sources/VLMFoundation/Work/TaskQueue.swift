/// A thread that does one task after the other, in the order given, with a bound on how many wait.
///
/// Once a task has thrown, the tasks behind it are dropped, and the error is thrown to whoever
/// submits next or waits.
package final class TaskQueue: @unchecked Sendable {
  package typealias Task = () throws -> Void

  private let state: State
  private let thread: WorkThread?

  /// What the thread shares with the queue; apart from it so that the thread does not keep it alive.
  private final class State: @unchecked Sendable {
    let monitor = Monitor()
    // All guarded by it.
    var tasks: [Task] = []
    var isRunning = false
    var isClosed = false
    var failure: (any Error)?

    /// The next task, once there is one; nil when there will be none.
    func next() -> Task? {
      monitor.withLock {
        isRunning = false
        monitor.wakeAll()
        while tasks.isEmpty, !isClosed { monitor.wait() }
        if tasks.isEmpty { return nil }
        isRunning = true
        return tasks.removeFirst()
      }
    }

    func fail(_ error: any Error) {
      monitor.withLock {
        failure = failure ?? error
        tasks.removeAll()
        monitor.wakeAll()
      }
    }

    func run() {
      while let task = next() {
        do { try task() } catch { fail(error) }
      }
    }
  }

  /// Tasks that may wait behind the one being done.
  private let limit: Int

  package init(limit: Int) {
    precondition(limit >= 1, "room for one task")
    self.limit = limit
    let state = State()
    self.state = state
    // Without a thread, tasks are done as they are submitted.
    thread = WorkThread { state.run() }
  }

  /// Drops what waits, and returns when the task being done has ended.
  deinit {
    guard let thread else { return }
    state.monitor.withLock {
      state.tasks.removeAll()
      state.isClosed = true
      state.monitor.wakeAll()
    }
    thread.join()
  }

  /// Hands over a task; waits while `limit` others do.
  ///
  /// - Throws: what an earlier task threw.
  package func submit(_ task: @escaping Task) throws {
    guard thread != nil else { return try task() }
    try state.monitor.withLock {
      while state.failure == nil, state.tasks.count >= limit {
        state.monitor.wait()
      }
      if let failure = state.failure { throw failure }
      state.tasks.append(task)
      state.monitor.wakeAll()
    }
  }

  /// Returns when all tasks are done.
  ///
  /// - Throws: what a task threw.
  package func wait() throws {
    try state.monitor.withLock {
      while state.failure == nil, state.isRunning || !state.tasks.isEmpty {
        state.monitor.wait()
      }
      if let failure = state.failure { throw failure }
    }
  }
}
