import VLMFoundation

/// Finds out on a thread of its own which tokens grammars allow, so that a grammar that makes this much
/// work holds up no answer but those that have one.
final class MaskWorker: @unchecked Sendable {
  typealias Job = @Sendable () -> Void

  private let monitor = Monitor()
  private let usesThread: Bool

  // Guarded by `monitor`.
  private var jobs: [Job] = []
  private var isBusy = false
  private var hasThread = false
  private var isStopped = false
  private var doneCount = 0

  /// - Parameter usesThread: false for one whose jobs are done by whoever waits for them, so that tests know
  ///   when that is. It is also what becomes of one that gets no thread.
  init(usesThread: Bool = true) { self.usesThread = usesThread }

  /// Does a job, one after the other.
  func add(_ job: @escaping Job) {
    let starts = monitor.withLock {
      jobs.append(job)
      let starts = usesThread && !hasThread && !isStopped
      if starts { hasThread = true }
      monitor.wakeAll()
      return starts
    }
    guard starts else { return }
    Background.start { [self] in
      while let job = awaitJob() { run(job) }
    } failed: {
      monitor.withLock { hasThread = false }
    }
  }

  /// Ends the thread; jobs that wait are not done.
  func stop() {
    monitor.withLock {
      isStopped = true
      jobs = []
      monitor.wakeAll()
    }
  }

  /// Waits until all jobs are done, for so many milliseconds at most.
  func settle(milliseconds: Int) {
    let end = ContinuousClock.now + .milliseconds(milliseconds)
    monitor.withLock {
      while hasThread, isBusy || !jobs.isEmpty {
        let left = (end - ContinuousClock.now).components
        guard left.seconds >= 0, left.attoseconds > 0 else { return }
        monitor.wait(nanoseconds: Int(left.attoseconds / 1_000_000_000))
      }
    }
  }

  /// Waits until one more job is done; returns at once where there is none.
  func awaitOne() {
    let job = monitor.withLock { () -> Job? in
      if !hasThread, !jobs.isEmpty { return jobs.removeFirst() }
      let before = doneCount
      while hasThread, !isStopped, isBusy || !jobs.isEmpty, doneCount == before { monitor.wait() }
      return nil
    }
    if let job { run(job) }
  }

  private func awaitJob() -> Job? {
    monitor.withLock {
      while jobs.isEmpty, !isStopped { monitor.wait() }
      guard !isStopped else {
        hasThread = false
        monitor.wakeAll()
        return nil
      }
      isBusy = true
      return jobs.removeFirst()
    }
  }

  private func run(_ job: Job) {
    job()
    monitor.withLock {
      isBusy = false
      doneCount += 1
      monitor.wakeAll()
    }
  }
}
