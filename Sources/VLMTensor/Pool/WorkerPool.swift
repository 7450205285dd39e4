import Synchronization
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Threads that run the pieces of one loop at a time.
///
/// Each thread has a share of neighbouring pieces, and takes from the shares of others when it has
/// done its own, so uneven pieces balance. The same thread thus gets the same part of the rows in
/// loop after loop, and finds them in its own cache. Which thread runs a piece never changes its
/// result. Between loops the threads spin for some microseconds, because the next
/// layer usually follows at once, and then sleep.
package final class WorkerPool: @unchecked Sendable {
  /// The calling thread counts as one.
  package let threadCount: Int

  private typealias Body = (_ piece: Int, _ worker: Int) -> Void
  private let state: State
  private let threads: [WorkThread]

  /// What the threads share; apart from the pool so that its threads do not keep it alive.
  private final class State: @unchecked Sendable {
    let generation = Atomic<Int>(0)
    let running = Atomic<Int>(0)
    let sleepers = Atomic<Int>(0)
    let stopping = Atomic<Bool>(false)
    // Written by the caller before `generation` moves, read by workers after they saw it move.
    nonisolated(unsafe) var body: Body?
    nonisolated(unsafe) var pieceCount = 0
    /// Pieces handed out of each thread's share, a cache line each.
    private let taken: UnsafeMutablePointer<Atomic<Int>>
    private let shares: Int
    private static let spacing = 64 / MemoryLayout<Int>.stride
    /// Held by the caller whose loop it is. POSIX's, whose order ThreadSanitizer knows.
    let callers = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let monitor = Monitor()

    init(shares: Int) {
      self.shares = shares
      taken = .allocate(capacity: shares * Self.spacing)
      for share in 0..<shares { (taken + share * Self.spacing).initialize(to: Atomic<Int>(0)) }
      var attributes = pthread_mutexattr_t()
      pthread_mutexattr_init(&attributes)
      pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ERRORCHECK))
      pthread_mutex_init(callers, &attributes)
      pthread_mutexattr_destroy(&attributes)
    }

    deinit {
      pthread_mutex_destroy(callers)
      callers.deallocate()
      for share in 0..<shares { (taken + share * Self.spacing).deinitialize(count: 1) }
      taken.deallocate()
    }

    /// Before a loop is announced: all its pieces are there again.
    func begin(_ body: @escaping Body, count: Int) {
      self.body = body
      pieceCount = count
      for share in 0..<shares { taken[share * Self.spacing].store(0, ordering: .relaxed) }
    }

    func work(as worker: Int) {
      guard let body else { return }
      for turn in 0..<shares {
        let share = (worker + turn) % shares
        let (begin, end) = (share * pieceCount / shares, (share + 1) * pieceCount / shares)
        while true {
          let piece =
            begin
            + taken[share * Self.spacing].wrappingAdd(1, ordering: .relaxed).oldValue
          if piece >= end { break }
          body(piece, worker)
        }
      }
    }

    /// Returns the generation that follows `seen`.
    func waitForWork(after seen: Int) -> Int {
      for _ in 0..<WorkerPool.spins {
        let now = generation.load(ordering: .acquiring)
        if now != seen { return now }
      }
      return monitor.withLock {
        sleepers.add(1, ordering: .sequentiallyConsistent)
        var now = generation.load(ordering: .sequentiallyConsistent)
        while now == seen {
          monitor.wait()
          now = generation.load(ordering: .sequentiallyConsistent)
        }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        return now
      }
    }

    /// What a thread of the pool does.
    func run(as worker: Int) {
      var seen = 0
      while true {
        seen = waitForWork(after: seen)
        if stopping.load(ordering: .sequentiallyConsistent) { return }
        work(as: worker)
        running.subtract(1, ordering: .releasing)
      }
    }

    func announce() {
      generation.add(1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        monitor.withLock { monitor.wakeAll() }
      }
    }
  }

  /// About 20 microseconds of polling.
  private static let spins = 20_000

  package init(threadCount: Int) {
    precondition(threadCount >= 1, "at least the calling thread")
    self.threadCount = threadCount
    let state = State(shares: threadCount)
    self.state = state
    // Fewer threads only make it slower.
    threads = (1..<max(1, threadCount)).compactMap { worker in
      WorkThread { state.run(as: worker) }
    }
  }

  deinit {
    state.stopping.store(true, ordering: .sequentiallyConsistent)
    state.announce()
    for thread in threads { thread.join() }
  }

  /// Runs `body(piece, worker)` for every piece in `0..<count`; returns when all are done.
  ///
  /// `worker` is below `threadCount` and no two threads have the same one at a time, so it can
  /// choose a scratch buffer. Loops do not nest.
  package func forEach(count: Int, _ body: (_ piece: Int, _ worker: Int) -> Void) {
    let code = pthread_mutex_lock(state.callers)
    precondition(code == 0, "loops do not nest")
    defer { pthread_mutex_unlock(state.callers) }
    // Too few to share out; another caller's loop has worker 0 as well, so not beside it.
    if count <= 1 || threads.isEmpty {
      for piece in 0..<count { body(piece, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      state.begin(body, count: count)
      state.running.store(threads.count, ordering: .relaxed)
      state.announce()
      state.work(as: 0)
      var polls = 0
      while state.running.load(ordering: .acquiring) > 0 {
        polls += 1
        // A worker that lost its processor needs ours to finish.
        if polls > Self.spins { sched_yield() }
      }
      state.body = nil
    }
  }
}
