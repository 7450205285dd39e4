import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMTransport

@Suite("Unpacked once")
struct CacheTests {
  let sample: PackedSample
  private let folder: String

  init() throws {
    sample = try PackedSample()
    folder = sample.folder.path("cache/vlmz")
    for name in ["A01-one-scalar", "A02-two-tensors", "A03-every-section"] {
      try sample.pack(Golden.container(name), name + ".vlmzp")
    }
  }

  private func open(
    _ name: String, limit: Int = ModelCache.defaultLimit,
    check: (Container) throws -> Void = { _ in }
  ) throws -> (container: Container, events: [ModelCache.Event]) {
    var events: [ModelCache.Event] = []
    let container = try ModelCache.open(
      path: sample.folder.path(name + ".vlmzp"), cache: ModelCache(folder: folder, limit: limit),
      pool: PackedSample.pool, check: check, report: { events.append($0) })
    return (container, events)
  }

  private var models: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: folder)
        .filter { $0.hasSuffix(".vlmz") }.sorted()
    }
  }

  @Test("the first opening unpacks, the second finds it")
  func twice() throws {
    let first = try open("A02-two-tensors")
    let path = first.container.path
    #expect(first.events == [.unpacked(to: path)])
    #expect(try models.map { folder + "/" + $0 } == [path])
    #expect(try open("A02-two-tensors").events == [.found(at: path)])
    let expected = try Data(
      contentsOf: URL(fileURLWithPath: Golden.container("A02-two-tensors")))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == expected)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
  }

  @Test("a container is opened as it is, whether there is a cache or not")
  func container() throws {
    let path = Golden.container("A02-two-tensors")
    let container = try ModelCache.open(path: path, cache: nil, pool: PackedSample.pool)
    #expect(container.path == path)
    let error = transportError {
      _ = try ModelCache.open(
        path: sample.folder.path("A02-two-tensors.vlmzp"), cache: nil, pool: PackedSample.pool)
    }
    #expect(error?.problem == .noCache)
  }

  @Test("one that is damaged in the cache is unpacked again")
  func damaged() throws {
    let path = try open("A02-two-tensors").container.path
    try Data("no container".utf8).write(to: URL(fileURLWithPath: path))
    #expect(try open("A02-two-tensors").events == [.unpacked(to: path)])
  }

  @Test("a changed byte of a weight is found; a file that was only touched is used")
  func changedWeight() throws {
    let path = try open("A02-two-tensors").container.path
    let container = try Container.open(path: path, isInput: false)
    let place = try #require(container.tensors.first).range.lowerBound
    let sound = try Data(contentsOf: URL(fileURLWithPath: path))
    var bytes = sound
    bytes[place] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    #expect(try open("A02-two-tensors").events == [.unpacked(to: path)])
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == sound)
    // As a copy of the cache would have it.
    try sound.write(to: URL(fileURLWithPath: path))
    #expect(try open("A02-two-tensors").events == [.found(at: path)])
    let noted = try String(contentsOfFile: path.dropLast(5) + ".lock", encoding: .utf8)
    let found = try Container.open(path: path, isInput: false)
    #expect(noted == found.file.identity)
  }

  /// Puts an entry into the cache that nobody uses, last used `age` seconds ago.
  private func place(_ name: String, age: Double) throws -> String {
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let container = try Container.open(path: Golden.container(name), isInput: false)
    let base = folder + "/" + hexadecimal(container.rootHash)
    try FileManager.default.copyItem(atPath: Golden.container(name), toPath: base + ".vlmz")
    try Data().write(to: URL(fileURLWithPath: base + ".lock"))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: base + ".lock")
    return hexadecimal(container.rootHash) + ".vlmz"
  }

  private func name(_ container: Container) -> String {
    String(container.path.dropFirst(folder.count + 1))
  }

  @Test("the limit is kept by removing what was not used for longest")
  func eviction() throws {
    let older = try place("A01-one-scalar", age: 200)
    let newer = try place("A03-every-section", age: 100)
    // 4480 and 7040 bytes, and 4608 more.
    let opened = try open("A02-two-tensors", limit: 12_000)
    #expect(try models == [newer, name(opened.container)].sorted())
    #expect(try !models.contains(older))
    // The order is that of use, not of sizes or names.
    let lock = folder + "/" + String(older.dropLast(5)) + ".lock"
    #expect(!FileManager.default.fileExists(atPath: lock))
  }

  @Test("what is in use is not removed, even if the limit is passed")
  func inUse() throws {
    let used = try open("A03-every-section", limit: 8000)
    let unused = try place("A01-one-scalar", age: 1)
    let other = try open("A02-two-tensors", limit: 8000)
    #expect(try models == [used.container, other.container].map(name).sorted())
    #expect(try !models.contains(unused))
    #expect(try used.container.verify(strict: true).isEmpty)
  }

  @Test("a model that is larger than the cache is refused before anything is written")
  func tooLarge() throws {
    let error = transportError { _ = try open("A03-every-section", limit: 7000) }
    #expect(error?.problem == .exceedsCache(bytes: 7040, limit: 7000))
    #expect(error?.exitStatus == .cannotCreate)
    #expect(try models.isEmpty)
  }

  @Test("a cache that cannot be written is an error that says what to do")
  func unwritable() throws {
    try sample.folder.write("cache", Array("a file".utf8))
    let error = transportError { _ = try open("A02-two-tensors") }
    guard case .cache? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.description.hasSuffix("; unpack it first") == true)
    #expect(error?.exitStatus == .cannotCreate)
  }

  @Test("a damaged packed file leaves nothing in the cache")
  func damagedInput() throws {
    var bytes = try sample.folder.read("A02-two-tensors.vlmzp")
    bytes[300] ^= 1
    try sample.folder.write("A02-two-tensors.vlmzp", bytes)
    let error = transportError { _ = try open("A02-two-tensors") }
    #expect(error?.rule != nil)
    #expect(try models == [])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder).allSatisfy {
        !$0.hasSuffix(".tmp")
      })
  }

  @Test("several threads that open at once get one container, unpacked once")
  func atOnce() throws {
    let (path, folder) = (sample.folder.path("A03-every-section.vlmzp"), folder)
    let counts = Counts()
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      do {
        let container = try ModelCache.open(
          path: path, cache: ModelCache(folder: folder), pool: WorkerPool(threadCount: 1),
          report: { counts.add($0) })
        #expect(container.file.count == 7040)
      } catch { Issue.record("\(error)") }
    }
    #expect(counts.unpacked == 1)
    #expect(counts.found == 7)
  }

  private final class Counts: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var unpacked = 0
    private(set) var found = 0

    func add(_ event: ModelCache.Event) {
      lock.withLock {
        switch event {
        case .unpacked: unpacked += 1
        case .found: found += 1
        case .waiting: break
        }
      }
    }
  }
}
