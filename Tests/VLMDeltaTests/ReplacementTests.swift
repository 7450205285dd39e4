import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMDelta

/// How a model is replaced, and the old one kept.
@Suite("Replaced models")
struct ReplacementTests {
  let folder: TemporaryFolder
  let model: String
  private static let delta = Pair.goldens + "/accept/A02-copies-and-differences.vlmzd"
  private let base: [UInt8]
  private let target: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    base = try Pair.bytes(Pair.goldens + "/base.vlmz")
    target = try Pair.bytes(Pair.goldens + "/target.vlmz")
    model = try folder.write("m.vlmz", base)
  }

  @Test("the old file is kept under another name")
  func kept() throws {
    try Pair.apply(Self.delta, to: model, keeping: folder.path("old.vlmz"))
    #expect(try folder.names == ["m.vlmz", "old.vlmz"])
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.read("old.vlmz") == base)
  }

  @Test("a file at that name is replaced only if that is allowed, and before the model is")
  func keptBefore() throws {
    try folder.write("old.vlmz", [1, 2, 3])
    let error = thrown { try Pair.apply(Self.delta, to: model, keeping: folder.path("old.vlmz")) }
    #expect(error?.exitStatus == .cannotCreate)
    #expect(try folder.read("m.vlmz") == base)
    #expect(try folder.names == ["m.vlmz", "old.vlmz"])
    try Pair.apply(Self.delta, to: model, keeping: folder.path("old.vlmz"), overwrite: true)
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.read("old.vlmz") == base)
    #expect(try folder.names == ["m.vlmz", "old.vlmz"])
  }

  @Test("a copy that an interrupted run left is the model itself, and does no harm")
  func keptTwice() throws {
    try RollbackCopy.make(of: model, at: folder.path("old.vlmz"), overwrite: false)
    try RollbackCopy.make(of: model, at: folder.path("old.vlmz"), overwrite: true)
    #expect(try folder.names == ["m.vlmz", "old.vlmz"])
    try Pair.apply(Self.delta, to: model, keeping: folder.path("old.vlmz"), overwrite: true)
    #expect(try folder.read("old.vlmz") == base)
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.names == ["m.vlmz", "old.vlmz"])
  }

  @Test("a model that a link leads to is replaced where it is, and a process that maps it keeps it")
  func links() throws {
    let link = folder.path("link.vlmz")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "m.vlmz")
    let open = try Container.open(path: model)
    try Pair.apply(Self.delta, to: link, keeping: folder.path("old.vlmz"))
    #expect(FileSystem.target(ofLink: link) == "m.vlmz")
    #expect(try folder.read("m.vlmz") == target)
    #expect(try folder.read("old.vlmz") == base)
    let mapped = open.file.withBytes(0..<open.file.count) { Array($0) }
    #expect(mapped == base)
  }

  @Test("the permissions of the model stay")
  func permissions() throws {
    chmod(model, 0o640)
    try Pair.apply(Self.delta, to: model)
    var status = stat()
    #expect(stat(model, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o640)
  }

  @Test("an output that is there is replaced only if that is allowed, and the model stays")
  func output() throws {
    try folder.write("out.vlmz", [1])
    let path = folder.path("out.vlmz")
    let error = thrown { try Pair.apply(Self.delta, to: model, output: path) }
    #expect(error?.exitStatus == .cannotCreate)
    #expect(try folder.read("out.vlmz") == [1])
    try Pair.apply(Self.delta, to: model, output: path, overwrite: true)
    #expect(try folder.read("out.vlmz") == target)
    #expect(try folder.read("m.vlmz") == base)
  }

  @Test("memory is bounded by pieces, of whatever length an operation is")
  func limits() {
    #expect(DeltaFormat.piece <= DeltaFormat.maximumPiece)
    #expect(DeltaFormat.piece + 2 * DeltaFormat.margin <= DeltaFormat.maximumPrefix)
  }
}
