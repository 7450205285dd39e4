#if canImport(Glibc)
  import Glibc
#endif

/// A thread that does one task after the other, in the order given, with a bound on how many wait.
///
/// Once a task has thrown, the tasks behind it are dropped, and the error is thrown to whoever
/// submits next or waits.
package final class TaskQueue: @unchecked Sendable {
  package typealias Task = () throws -> Void

  private let state: State
  private var thread: pthread_t?

  /// What the thread shares with the queue; apart from it so that the thread does not keep it alive.
  private final class State: @unchecked Sendable {
    let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // All guarded by `lock`.
    var tasks: [Task] = []
    var isRunning = false
    var isClosed = false
    var failure: (any Error)?

    init() {
      pthread_mutex_init(lock, nil)
      pthread_cond_init(changed, nil)
    }

    deinit {
      pthread_mutex_destroy(lock)
      pthread_cond_destroy(changed)
      lock.deallocate()
      changed.deallocate()
    }

    func locked<R>(_ body: () throws -> R) rethrows -> R {
      pthread_mutex_lock(lock)
      defer { pthread_mutex_unlock(lock) }
      return try body()
    }

    /// The next task, once there is one; nil when there will be none.
    func next() -> Task? {
      locked {
        isRunning = false
        pthread_cond_broadcast(changed)
        while tasks.isEmpty, !isClosed { pthread_cond_wait(changed, lock) }
        if tasks.isEmpty { return nil }
        isRunning = true
        return tasks.removeFirst()
      }
    }

    func fail(_ error: any Error) {
      locked {
        failure = failure ?? error
        tasks.removeAll()
        pthread_cond_broadcast(changed)
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
    state = State()
    let argument = Unmanaged.passRetained(state)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<State>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument.toOpaque())
    if code == 0 {
      self.thread = thread
    } else {
      // Without a thread, tasks are done as they are submitted.
      argument.release()
    }
  }

  /// Drops what waits, and returns when the task being done has ended.
  deinit {
    guard let thread else { return }
    state.locked {
      state.tasks.removeAll()
      state.isClosed = true
      pthread_cond_broadcast(state.changed)
    }
    pthread_join(thread, nil)
  }

  /// Hands over a task; waits while `limit` others do.
  ///
  /// - Throws: what an earlier task threw.
  package func submit(_ task: @escaping Task) throws {
    guard thread != nil else { return try task() }
    try state.locked {
      while state.failure == nil, state.tasks.count >= limit {
        pthread_cond_wait(state.changed, state.lock)
      }
      if let failure = state.failure { throw failure }
      state.tasks.append(task)
      pthread_cond_broadcast(state.changed)
    }
  }

  /// Returns when all tasks are done.
  ///
  /// - Throws: what a task threw.
  package func wait() throws {
    try state.locked {
      while state.failure == nil, state.isRunning || !state.tasks.isEmpty {
        pthread_cond_wait(state.changed, state.lock)
      }
      if let failure = state.failure { throw failure }
    }
  }
}
