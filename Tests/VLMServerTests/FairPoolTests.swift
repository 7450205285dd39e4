import Synchronization
import Testing

@testable import VLMServer

@Suite struct FairPoolTests {
  private final class Log: Sendable {
    private let names = Mutex<[String]>([])
    func add(_ name: String) { names.withLock { $0.append(name) } }
    var all: [String] { names.withLock { $0 } }
  }

  /// Lets other tasks run until so many wait.
  private func waiting(_ count: Int, _ pool: FairPool<Int>) async {
    while pool.waitingCount < count { await Task.yield() }
  }

  @Test func clientsTakeTurns() async throws {
    let (pool, log) = (FairPool([7], waiting: 8), Log())
    try await withThrowingTaskGroup(of: Void.self) { group in
      try await pool.withResource(for: "a") { _ in
        for (index, name) in ["a1", "a2", "b1"].enumerated() {
          group.addTask {
            try await pool.withResource(for: String(name.prefix(1))) {
              #expect($0 == 7); log.add(name)
            }
          }
          await waiting(index + 1, pool)
        }
      }
      try await group.waitForAll()
    }
    #expect(log.all == ["a1", "b1", "a2"])
    #expect(pool.waitingCount == 0)
  }

  @Test func oneTooManyIsRefusedAndOneThatLeavesMakesRoom() async throws {
    let pool = FairPool([7], waiting: 1)
    try await pool.withResource(for: "a") { _ in
      let leaves = Task { try await pool.withResource(for: "a") { $0 } }
      await waiting(1, pool)
      await #expect(throws: APIError.overloaded(retryAfter: 1)) {
        try await pool.withResource(for: "b") { $0 }
      }
      leaves.cancel()
      let result = await leaves.result
      #expect(throws: APIError.cancelled) { try result.get() }
      #expect(pool.waitingCount == 0)
    }
    #expect(try await pool.withResource(for: "b") { $0 } == 7)
  }

  @Test func whoIsCancelledBeforeItWaitsGetsNothing() async throws {
    let pool = FairPool([7], waiting: 1)
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await pool.withResource(for: "a") { $0 }
    }
    task.cancel()
    let result = await task.result
    #expect(throws: APIError.cancelled) { try result.get() }
    #expect(try await pool.withResource(for: "a") { $0 } == 7)
  }

  @Test func largePicturesHaveTurnsOfTheirOwn() {
    #expect(PictureTurns.split([]).isEmpty)
    #expect(PictureTurns.split([10, 10, 10]) == [0..<3])
    let large = PictureTurns.pixels
    #expect(
      PictureTurns.split([10, large, 10, large * 3, 10]) == [0..<1, 1..<2, 2..<3, 3..<4, 4..<5])
    #expect(PictureTurns.split([large / 2, large / 2, 1]) == [0..<2, 2..<3])
  }

  @Test func clientsAreKnownByTheirKeysOrElseByTheirAddresses() {
    func client(_ keys: [String], _ authorization: String?) -> String {
      let service = Service(
        models: [], limits: ServerLimits(), keys: keys.isEmpty ? nil : APIKeys(keys),
        browsers: BrowserGuard(names: [], trustsAllNames: true))
      return service.client(
        of: RequestHead(
          method: "GET", path: "/", authorization: authorization, peer: "unix:1000"))
    }
    #expect(client([], "Bearer one") == "unix:1000")
    #expect(client(["one", "two", "three"], "Bearer one") == "key 1")
    #expect(client(["one", "two", "three"], "bearer three") == "key 3")
    #expect(client(["one"], "Bearer two") == "unix:1000")
  }
}
