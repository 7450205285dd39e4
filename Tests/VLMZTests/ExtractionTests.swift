import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMTensor
import VLMTestSupport

@testable import VLMConversion

/// What damage `extract`, `diff` and `inspect` tell, instead of going on without.
@Suite("Extraction")
struct ExtractionTests {
  @Test(
    "a stream of pieces that ends before its tensor is an error, and none of its bytes is made up")
  func short() throws {
    let stream = PieceStream([0..<3, 3..<5]) { range in range.map { UInt8($0) } }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
    defer { buffer.deallocate() }
    try stream.fill(0, buffer, "w", of: "m.vlmz")
    #expect(Array(buffer) == [0, 1, 2, 3])
    #expect(
      throws: CheckpointError(
        path: "m.vlmz", place: "w", problem: .sizeMismatch(found: 5, expected: 8))
    ) { try stream.fill(4, buffer, "w", of: "m.vlmz") }
  }

  @Test("an error of a piece is that error")
  func failing() throws {
    let wanted = CheckpointError(path: "m.vlmz", place: "w", problem: .notNumeric(.f8e4m3))
    let stream = PieceStream([0..<1]) { (_) throws(CheckpointError) -> [UInt8] in throw wanted }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
    defer { buffer.deallocate() }
    #expect(throws: wanted) { try stream.fill(0, buffer, "w", of: "m.vlmz") }
  }

  @Test("a model that cannot be recognised is compared by names, and why is said")
  func unrecognised() throws {
    let folder = try TemporaryFolder()
    for (name, config) in [("a", "{\"architectures\": "), ("b", "{}")] {
      try FileManager.default.createDirectory(
        atPath: folder.path(name), withIntermediateDirectories: false)
      try folder.write("\(name)/config.json", Array(config.utf8))
      try SafetensorsWriter.write(
        path: folder.path("\(name)/model.safetensors"), overwrite: false,
        tensors: [.init(name: "only.in.\(name)", shape: [1], floats: [1])])
    }
    let difference = try ModelDifference(
      folder.path("a"), folder.path("b"), options: .init(), pool: WorkerPool(threadCount: 1)
    ) { _, _ in }
    #expect(!difference.isByModel)
    #expect(difference.notes.first?.hasPrefix("compared by names alone: ") == true)
    #expect(difference.notes.first?.contains("a/config.json") == true)
  }

  @Test("a provenance that is no JSON is an error, and not a container without names")
  func provenance() throws {
    let folder = try TemporaryFolder()
    let paths = try ["a.vlmz", "b.vlmz"].enumerated().map { number, name in
      let writer = try ContainerWriter(path: folder.path(name), overwrite: false)
      try writer.beginTensor(
        name: "w\(number)", format: TensorFormat(scheme: .f32), role: .vector, shape: [2])
      try writer.write([UInt8](repeating: 0, count: 8))
      try writer.endTensor()
      try writer.add(section: .config, Array("{}".utf8))
      try writer.add(section: .provenance, Array("{\"names\": ".utf8))
      _ = try writer.finish()
      return folder.path(name)
    }
    let wanted = ConversionError(path: paths[0], .section("provenance", "JSON"))
    #expect(throws: wanted) { _ = try Extraction(path: paths[0]) }
    #expect(throws: wanted) { _ = try Listing(path: paths[0], digests: false) }
  }
}
