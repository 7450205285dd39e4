// Runs loops of many shapes on one pool from several threads at once, over memory that nothing else
// guards: ThreadSanitizer sees whether the pool orders what its callers write and read. Without it,
// shows that sums are right and that no two threads are the same worker at a time.
//
// A program of its own, compiled with WorkerPool.swift alone: scripts/test-pool-sanitized.
import Glibc

/// Plain memory that loops write: safe only as far as the pool makes it so.
final class Plain: @unchecked Sendable {
  let values: UnsafeMutablePointer<Int>
  /// A counter a worker: two threads that are one worker at a time lose counts.
  let scratch: UnsafeMutablePointer<Int>

  init(count: Int, workers: Int) {
    values = .allocate(capacity: count)
    values.initialize(repeating: 0, count: count)
    scratch = .allocate(capacity: workers)
    scratch.initialize(repeating: 0, count: workers)
  }
}

/// Pieces of the loops, in turns.
enum Loops {
  static let most = 100
  static let counts = [0, 1, 2, 3, 7, 1, most]
  static let rounds = 100 * counts.count
}

/// Loops of one caller; its sums lie in memory of its own, the workers' scratch in that of all.
func work(_ pool: WorkerPool, _ shared: Plain, seed: Int) -> Int {
  let own = Plain(count: Loops.most, workers: 1)
  var total = 0
  for round in 0..<Loops.rounds {
    let count = Loops.counts[(round + seed) % Loops.counts.count]
    pool.forEach(count: count) { piece, worker in
      own.values[piece] += piece + 1
      shared.scratch[worker] += 1
    }
    // What the workers wrote is there when the loop has ended.
    for piece in 0..<count { total += own.values[piece] }
    for piece in 0..<count { own.values[piece] = 0 }
  }
  return total
}

final class Caller: @unchecked Sendable {
  let pool: WorkerPool
  let shared: Plain
  let seed: Int
  var total = 0

  init(_ pool: WorkerPool, _ shared: Plain, seed: Int) {
    self.pool = pool
    self.shared = shared
    self.seed = seed
  }
}

/// How many of the constellations failed. A function: what stands at the top level of a program
/// belongs to its main thread.
func failures() -> Int {
  var failures = 0
  let turns = Loops.rounds / Loops.counts.count
  let sum = Loops.counts.reduce(0) { $0 + $1 * ($1 + 1) / 2 } * turns
  for threads in [1, 2, 3, 8] {
    for callers in [1, 2, 5] {
      let pool = WorkerPool(threadCount: threads)
      let shared = Plain(count: 1, workers: threads)
      let all = (0..<callers).map { Caller(pool, shared, seed: $0) }
      let handles = all.map { caller in
        var handle = pthread_t()
        pthread_create(
          &handle, nil,
          { argument in
            guard let argument else { return nil }
            let caller = Unmanaged<Caller>.fromOpaque(argument).takeUnretainedValue()
            caller.total = work(caller.pool, caller.shared, seed: caller.seed)
            return nil
          }, Unmanaged.passUnretained(caller).toOpaque())
        return handle
      }
      for handle in handles { pthread_join(handle, nil) }
      let pieces = Loops.counts.reduce(0, +) * turns * callers
      let found = (0..<threads).reduce(0) { $0 + shared.scratch[$1] }
      if found != pieces || all.contains(where: { $0.total != sum }) {
        failures += 1
        print("FAILED: \(threads) threads, \(callers) callers: \(found) pieces of \(pieces)")
      }
    }
  }
  return failures
}

let failed = failures()
print(failed == 0 ? "the pool: all passed" : "the pool: \(failed) failed")
exit(failed == 0 ? 0 : 1)
