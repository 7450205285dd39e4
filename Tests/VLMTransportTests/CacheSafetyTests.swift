import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMTransport

/// What hostile packed files and other users cannot do to a cache.
@Suite("The cache of unpacked models is safe")
struct CacheSafetyTests {
  private let sample: PackedSample
  private let folder: String
  /// A02, packed.
  private let packed: String

  init() throws {
    sample = try PackedSample()
    folder = sample.folder.path("vlmz")
    packed = sample.folder.path("a.vlmzp")
    try sample.pack(Golden.container("A02-two-tensors"), "a.vlmzp")
  }

  private struct Refusal: Error {}

  private func open(
    _ path: String? = nil, limit: Int = ModelCache.defaultLimit,
    check: (Container) throws -> Void = { _ in }
  ) throws -> (container: Container, events: [ModelCache.Event]) {
    var events: [ModelCache.Event] = []
    let container = try ModelCache.open(
      path: path ?? packed, cache: ModelCache(folder: folder, limit: limit),
      pool: PackedSample.pool, check: check, report: { events.append($0) })
    return (container, events)
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  /// Makes an entry that nobody uses: a name of `digit`s.
  private func place(_ digit: Character, _ bytes: Data = Data(count: 5000)) throws -> String {
    let key = String(repeating: digit, count: 64)
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(key).vlmz"))
    return key
  }

  @Test("another file with the same root hash is another entry, and takes no other's place")
  func sameRoot() throws {
    let first = try open()
    try sample.folder.write("b.vlmzp", sample.folder.read("a.vlmzp"))
    let second = try open(sample.folder.path("b.vlmzp"))
    #expect(second.events == [.unpacked(to: second.container.path)])
    #expect(second.container.rootHash == first.container.rootHash)
    #expect(second.container.path != first.container.path)
    #expect(try open().events == [.found(at: first.container.path)])
  }

  @Test("a link to the same file opens the same entry")
  func link() throws {
    let first = try open()
    let link = sample.folder.path("link.vlmzp")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: packed)
    #expect(try open(link).events == [.found(at: first.container.path)])
  }

  @Test("an entry that fails the check is unpacked again and checked once more")
  func failsOnce() throws {
    let path = try open().container.path
    var checks = 0
    let second = try open { _ in
      checks += 1
      if checks == 1 { throw Refusal() }
    }
    #expect(second.events == [.unpacked(to: path)])
    #expect(checks == 2)
  }

  @Test("one that fails the check again is removed, and the error is that of the check")
  func failsAlways() throws {
    let path = try open().container.path
    var checks = 0
    #expect(throws: Refusal.self) {
      _ = try open { _ in
        checks += 1
        throw Refusal()
      }
    }
    #expect(checks == 2)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try open().events == [.unpacked(to: path)])
  }

  @Test("a file that only states a size removes nothing")
  func statedSize() throws {
    let other = try place("a")
    let header = PackedHeader(containerSize: 9_000, rootHash: [UInt8](repeating: 1, count: 32))
    let path = try sample.folder.write("claim.vlmzp", header.encoded())
    let error = transportError { _ = try open(path, limit: 10_000) }
    #expect(error?.rule != nil)
    #expect(try names.contains(other + ".vlmz"))
    // One that is what it says does.
    _ = try open(limit: 9_000)
    #expect(try !names.contains(other + ".vlmz"))
  }

  @Test("what a killed process left is removed when room is made, but not while it is written")
  func rests() throws {
    let (kept, lost, busy) = (try place("a"), String(repeating: "b", count: 64), try place("c"))
    let rests = [kept, lost, busy].map { ".\($0).vlmz.123-1.tmp" }
    for rest in rests { try Data(count: 9).write(to: URL(fileURLWithPath: "\(folder)/\(rest)")) }
    let turn = try CacheLock.exclusive("\(folder)/\(busy).unpack") {}
    let use = try CacheLock.shared("\(folder)/\(busy).lock")
    _ = try open()
    #expect(try names.filter { $0.hasPrefix(".") } == [rests[2]])
    #expect(try names.contains(kept + ".vlmz"))
    withExtendedLifetime((turn, use)) {}
  }

  @Test("a link in an entry's place is replaced, and what it leads to is left as it is")
  func linkInPlace() throws {
    let path = try open().container.path
    try FileManager.default.removeItem(atPath: path)
    let victim = sample.folder.path("victim.vlmz")
    // It has the right root hash, so that only the link tells.
    try FileManager.default.copyItem(
      atPath: Golden.container("A02-two-tensors"), toPath: victim)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: victim)
    let before = try FileManager.default.attributesOfItem(atPath: victim)[.systemFileNumber] as? Int
    #expect(try open().events == [.unpacked(to: path)])
    let type = try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
    #expect(type == .typeRegular)
    let after = try FileManager.default.attributesOfItem(atPath: victim)[.systemFileNumber] as? Int
    #expect(before == after)
  }

  @Test("a folder that others may write to is refused with the command that changes it")
  func writableByOthers() throws {
    for mode in [0o770, 0o707] {
      try? FileManager.default.removeItem(atPath: folder)
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder)
      let error = transportError { _ = try open() }
      #expect(error?.problem == .writableCache(folder: folder))
      #expect(error?.exitStatus == .noPermission)
      #expect(error?.description.hasSuffix("; keep them out: chmod go-w \(folder)") == true)
      #expect(try names.isEmpty)
    }
  }

  @Test("a folder of another user is refused")
  func anotherUsers() throws {
    // Root's own, unless root runs this: then somebody else's.
    var foreign = "/"
    if geteuid() == 0 {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try #require(chown(folder, 4711, 4711) == 0)
      foreign = folder
    }
    let error = transportError {
      _ = try ModelCache.open(
        path: packed, cache: ModelCache(folder: foreign), pool: PackedSample.pool)
    }
    #expect(error?.problem == .foreignCache(folder: foreign))
    #expect(error?.description.hasSuffix("; unpack it first") == true)
  }
}
