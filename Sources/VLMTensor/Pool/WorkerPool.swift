import CVLMSystem
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
/// result. Between loops the threads poll for a tenth of a millisecond, because the next
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
    /// The processor that each thread was last seen on.
    private let processors: UnsafeMutablePointer<Atomic<Int>>
    private let shares: Int
    private static let spacing = 64 / MemoryLayout<Int>.stride
    /// Held by the caller whose loop it is. POSIX's, whose order ThreadSanitizer knows.
    let callers = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let monitor = Monitor()

    init(shares: Int) {
      self.shares = shares
      taken = .allocate(capacity: shares * Self.spacing)
      for share in 0..<shares { (taken + share * Self.spacing).initialize(to: Atomic<Int>(0)) }
      processors = .allocate(capacity: shares)
      for thread in 0..<shares { (processors + thread).initialize(to: Atomic<Int>(-1)) }
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
      for thread in 0..<shares { (processors + thread).deinitialize(count: 1) }
      processors.deallocate()
    }

    /// Before a loop is announced: all its pieces are there again.
    func begin(_ body: @escaping Body, count: Int) {
      self.body = body
      pieceCount = count
      for share in 0..<shares { taken[share * Self.spacing].store(0, ordering: .relaxed) }
    }

    func work(as worker: Int) {
      guard let body else { return }
      notePlace(of: worker)
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

    /// Polls until something holds; false after `patience`, or when another thread was last seen
    /// on the same processor, where one keeps the other from its work: two that poll there without
    /// ever sleeping have stayed together for as long as the process ran.
    func poll(as thread: Int, until holds: () -> Bool) -> Bool {
      let began = MonotonicClock.nanoseconds
      repeat {
        for _ in 0..<WorkerPool.pollsAtATime {
          if holds() { return true }
          vlm_relax()
        }
        if isCrowded(thread) { return false }
      } while MonotonicClock.nanoseconds - began < WorkerPool.patience
      return false
    }

    /// Notes the processor that a thread is on; whether another was last seen there.
    private func isCrowded(_ thread: Int) -> Bool {
      let own = notePlace(of: thread)
      return own >= 0
        && (0..<shares).contains {
          $0 != thread && processors[$0].load(ordering: .relaxed) == own
        }
    }

    @discardableResult
    private func notePlace(of thread: Int) -> Int {
      let own = Int(vlm_current_processor())
      // All read the line that this is in; it is only taken from them for what is new.
      if processors[thread].load(ordering: .relaxed) != own {
        processors[thread].store(own, ordering: .relaxed)
      }
      return own
    }

    /// Returns the generation that follows `seen`.
    func waitForWork(after seen: Int, as worker: Int) -> Int {
      var found = seen
      let isThere = poll(as: worker) {
        found = generation.load(ordering: .acquiring)
        return found != seen
      }
      if isThere { return found }
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
        seen = waitForWork(after: seen, as: worker)
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

  /// For how many nanoseconds a thread polls before it sleeps: about what waking it takes on a
  /// virtual machine, and longer than the last piece of most loops takes another thread.
  private static let patience = 100_000
  /// Looks at a time before the clock and the processor are asked for, which take as long.
  private static let pollsAtATime = 8

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
      // A worker that lost its processor, or shares ours, needs it to finish.
      while true {
        let isDone = state.poll(as: 0) { state.running.load(ordering: .acquiring) == 0 }
        if isDone { break }
        sched_yield()
      }
      state.body = nil
    }
  }
}
