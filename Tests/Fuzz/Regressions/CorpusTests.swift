import Foundation
import Testing
import VLMFuzzTargets

/// Inputs that once went wrong, or that reach far: `Tests/Fuzz/corpus/<format>/`.
@Suite struct CorpusTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("corpus")

  @Test(
    "every regression input of every fuzz target is handled without a trap",
    arguments: FuzzTarget.allCases)
  func corpus(_ target: FuzzTarget) throws {
    let folder = Self.folder.appendingPathComponent(target.rawValue)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { !$0.hasPrefix(".") }
    #expect(!names.isEmpty, "a target has regression inputs")
    for name in names {
      let data = try Data(contentsOf: folder.appendingPathComponent(name))
      #expect(data.count <= 64 << 10, "'\(name)' is small")
      data.withUnsafeBytes { target.run($0) }
    }
  }

  @Test(
    "every prefix of the first regression input of a target is handled without a trap",
    arguments: FuzzTarget.allCases)
  func prefixes(_ target: FuzzTarget) throws {
    let folder = Self.folder.appendingPathComponent(target.rawValue)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { !$0.hasPrefix(".") }.sorted()
    var data = Data()
    for name in names where data.isEmpty {
      data = try Data(contentsOf: folder.appendingPathComponent(name))
    }
    for count in 0...min(data.count, 512) {
      data.prefix(count).withUnsafeBytes { target.run($0) }
    }
    #expect(data.count > 0)
  }

  @Test("every folder of regression inputs belongs to a fuzz target")
  func folders() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
      .filter { !$0.hasPrefix(".") }
    #expect(Set(names) == Set(FuzzTarget.allCases.map(\.rawValue)))
  }
}
