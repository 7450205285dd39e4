import Foundation
import Synchronization
import Testing

@testable import VLMTensor

struct WorkerPoolTests {
  @Test("every piece runs once, by a worker of its own", arguments: [1, 2, 3, 7])
  func everyPieceOnce(_ threads: Int) {
    let pool = WorkerPool(threadCount: threads)
    for count in [0, 1, 2, 5, 64, 1000] {
      let runs = Mutex([Int](repeating: 0, count: count))
      let active = Mutex(Set<Int>())
      let shared = Mutex(false)
      pool.forEach(count: count) { piece, worker in
        let isAlone = active.withLock { $0.insert(worker).inserted }
        if !isAlone || worker >= threads { shared.withLock { $0 = true } }
        runs.withLock { $0[piece] += 1 }
        active.withLock { _ = $0.remove(worker) }
      }
      #expect(runs.withLock { $0 } == [Int](repeating: 1, count: count))
      #expect(shared.withLock { $0 } == false)
    }
  }

  @Test("many short loops in a row all complete")
  func manyLoops() {
    let pool = WorkerPool(threadCount: 2)
    let total = Mutex(0)
    for _ in 0..<5000 { pool.forEach(count: 3) { _, _ in total.withLock { $0 += 1 } } }
    #expect(total.withLock { $0 } == 15_000)
  }

  @Test("loops of several callers do not mix")
  func severalCallers() async {
    let pool = WorkerPool(threadCount: 2)
    let sums = await withTaskGroup(of: Int.self) { group in
      for caller in 1...4 {
        group.addTask {
          let sum = Mutex(0)
          for _ in 0..<100 {
            pool.forEach(count: 10) { piece, _ in sum.withLock { $0 += piece * caller } }
          }
          return sum.withLock { $0 }
        }
      }
      var all: [Int] = []
      for await sum in group { all.append(sum) }
      return all.sorted()
    }
    #expect(sums == [4500, 9000, 13_500, 18_000])
  }

  /// Which workers are at work, and how often one was two at a time.
  private final class Workers: Sendable {
    private let active = Mutex(Set<Int>())
    private let collisions = Mutex(0)
    var collisionCount: Int { collisions.withLock { $0 } }

    func run(as worker: Int) {
      let isAlone = active.withLock { $0.insert(worker).inserted }
      if !isAlone { collisions.withLock { $0 += 1 } }
      // Room for another caller to come in between.
      sched_yield()
      active.withLock { _ = $0.remove(worker) }
    }
  }

  @Test(
    "callers of loops with a single piece, or of a pool without threads, take turns too",
    arguments: [(2, [1, 1, 1, 1]), (2, [1, 2, 1, 3]), (1, [2, 2, 2, 2])])
  func shortLoopsOfSeveralCallers(_ threads: Int, _ counts: [Int]) async {
    let pool = WorkerPool(threadCount: threads)
    let workers = Workers()
    await withTaskGroup(of: Void.self) { group in
      for count in counts {
        group.addTask {
          for _ in 0..<2000 {
            pool.forEach(count: count) { _, worker in workers.run(as: worker) }
          }
        }
      }
    }
    #expect(workers.collisionCount == 0)
  }
}
