import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMDelta

/// What is refused, and that nothing comes of it.
@Suite("Refused deltas")
struct RefusalTests {
  let pair: Pair

  init() throws { pair = try Pair() }

  private static let base = Pair.goldens + "/base.vlmz"
  private static let target = Pair.goldens + "/target.vlmz"

  /// Copies the golden base, and applies a delta to the copy.
  private func apply(_ delta: String, to base: String = base) throws {
    let content = try Pair.bytes(base)
    try pair.folder.write("m.vlmz", content)
    defer { #expect(throws: Never.self) { try expectUntouched(content) } }
    try Pair.apply(delta, to: pair.folder.path("m.vlmz"))
  }

  private func expectUntouched(_ content: [UInt8]) throws {
    let isSame = try pair.folder.read("m.vlmz") == content
    let isTarget = try pair.folder.read("m.vlmz") == Pair.bytes(Self.target)
    #expect(isSame || isTarget)
    #expect(try pair.folder.names.filter { $0.hasSuffix(".tmp") } == [])
  }

  @Test("the golden deltas make the golden target")
  func accept() throws {
    let files = try Pair.goldenFiles("delta/accept", ending: ".vlmzd")
    #expect(files.count >= 5)
    for file in files {
      try apply(file)
      let isTarget = try pair.folder.read("m.vlmz") == Pair.bytes(Self.target)
      #expect(isTarget, "\(file)")
    }
  }

  @Test("every rule has a golden delta that breaks it, which is refused for it in one line")
  func reject() throws {
    var rules: Set<DeltaRule> = []
    for file in try Pair.goldenFiles("delta/reject", ending: ".vlmzd") {
      let name = URL(fileURLWithPath: file).lastPathComponent
      let rule = try #require(DeltaRule(rawValue: String(name.prefix(3))))
      rules.insert(rule)
      let base = rule == .d18 ? Pair.goldens + "/damaged.vlmz" : Self.base
      let error = thrown { try apply(file, to: base) }
      let text = error?.description ?? "accepted"
      #expect(error?.rule == rule, "\(name): \(text)")
      #expect(error?.exitStatus == .badData, "\(name)")
      #expect(!text.contains("\n") && text.hasSuffix("]"), "\(text)")
      let isUntouched = try pair.folder.read("m.vlmz") == Pair.bytes(base)
      #expect(isUntouched, "\(name)")
    }
    #expect(rules == Set(DeltaRule.allCases))
  }

  @Test("a delta cut off anywhere is refused")
  func truncated() throws {
    let whole = try Pair.bytes(Pair.goldens + "/accept/A03-patch.vlmzd")
    for count in 0..<whole.count {
      let file = whole[..<count].withUnsafeBytes { MappedFile(name: "cut.vlmzd", copying: $0) }
      let error = thrown { try DeltaFile(file) }
      let expected: [DeltaRule?] = [.d01, .d06]
      #expect(expected.contains(error?.rule), "\(count): \(error?.description ?? "")")
    }
    #expect(whole.count > 1000)
  }

  @Test("any flipped byte of a delta is found before anything is written")
  func flipped() throws {
    let whole = try Pair.bytes(Pair.goldens + "/accept/A02-copies-and-differences.vlmzd")
    let model = try Container.open(path: Self.base)
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= UInt8(1 << (index % 8))
      let file = bytes.withUnsafeBytes { MappedFile(name: "flipped.vlmzd", copying: $0) }
      let error = thrown { try DeltaApplication(DeltaFile(file), to: model).check() }
      #expect(error?.rule != nil, "byte \(index)")
    }
  }

  @Test("a delta is refused on any other model, and says what it is for")
  func otherBase() throws {
    try pair.writeNudged()
    try pair.make()
    try Pair.write(pair.folder.path("m.vlmz"), Pair.tensors, config: #"{"a": 3}"#)
    let before = try pair.folder.read("m.vlmz")
    let error = thrown { try Pair.apply(pair.delta, to: pair.folder.path("m.vlmz")) }
    #expect(error?.rule == .d17)
    let root = hexadecimal(try Container.open(path: pair.old).rootHash)
    #expect(error?.description.contains("expected \(root)") == true)
    #expect(try pair.folder.read("m.vlmz") == before)
  }

  @Test("a model with the same contents in other bytes is another base")
  func otherBytes() throws {
    try pair.writeNudged()
    try pair.make()
    let path = pair.folder.path("raw.vlmz")
    try Pair.write(path, Pair.tensors, labels: 2000, compress: false)
    let error = thrown { try Pair.apply(pair.delta, to: path) }
    #expect(error?.rule == .d17)
    #expect(error?.description.contains("stored in other bytes") == true)
    guard case .otherBase(let found, _, let expected)? = error?.problem else {
      Issue.record("another error")
      return
    }
    #expect(found.rootHash == expected.rootHash)
  }

  @Test("a model that already is the target is told apart")
  func applied() throws {
    let delta = try DeltaFile.open(path: Pair.goldens + "/accept/A01-stored.vlmzd")
    let target = DeltaApplication(delta, to: try Container.open(path: Self.target))
    #expect(target.isApplied)
    #expect(thrown { try target.check() }?.problem == .alreadyApplied)
    let base = try Container.open(path: Self.base)
    #expect(!DeltaApplication(delta, to: base).isApplied)
  }

  @Test("files of other kinds are named")
  func foreign() throws {
    let error = thrown { try DeltaFile.open(path: Self.base) }
    #expect(error?.problem == .foreign(FileKind("a .vlmz container")))
    var other: ContainerError?
    do throws(ContainerError) {
      _ = try Container.open(path: Pair.goldens + "/accept/A01-stored.vlmzd")
    } catch { other = error }
    #expect(other?.description.contains("'vlm-convert apply'") == true)
  }
}
