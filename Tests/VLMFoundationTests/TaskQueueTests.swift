import Synchronization
import Testing
import VLMFoundation
import VLMTensor

@Suite("Task queue")
struct TaskQueueTests {
  struct Failure: Error, Equatable { let number: Int }

  private final class Log: Sendable {
    let numbers = Mutex<[Int]>([])
    func add(_ number: Int) { numbers.withLock { $0.append(number) } }
    var all: [Int] { numbers.withLock { $0 } }
  }

  @Test("tasks are done in the order given, all before wait returns")
  func order() throws {
    let log = Log()
    let queue = TaskQueue(limit: 2)
    for number in 0..<1000 { try queue.submit { log.add(number) } }
    try queue.wait()
    #expect(log.all == Array(0..<1000))
    try queue.submit { log.add(-1) }
    try queue.wait()
    #expect(log.all.last == -1)
  }

  @Test("no more tasks than the limit wait behind the one being done")
  func bounded() throws {
    let done = Atomic<Int>(0)
    let queue = TaskQueue(limit: 3)
    for number in 0..<200 {
      try queue.submit { _ = done.add(1, ordering: .sequentiallyConsistent) }
      // One is being done and three wait, at most.
      #expect(done.load(ordering: .sequentiallyConsistent) >= number + 1 - 4)
    }
    try queue.wait()
    #expect(done.load(ordering: .sequentiallyConsistent) == 200)
  }

  @Test("an error reaches whoever submits or waits, and drops what is behind it")
  func failure() throws {
    let log = Log()
    let queue = TaskQueue(limit: 100)
    var thrown: Failure?
    do {
      for number in 0..<100 {
        try queue.submit {
          if number == 5 { throw Failure(number: 5) }
          log.add(number)
        }
      }
      try queue.wait()
    } catch { thrown = error as? Failure }
    #expect(thrown == Failure(number: 5))
    #expect(log.all == [0, 1, 2, 3, 4])
    #expect(throws: Failure(number: 5)) { try queue.wait() }
    #expect(throws: Failure(number: 5)) { try queue.submit {} }
  }
}
