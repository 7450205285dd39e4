import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Cases S48, S52 and S53: a checkpoint of several files.
@Suite("safetensors: index and shards")
struct ShardIndexTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func shard(_ name: String, _ tensors: [String]) throws {
    try SafetensorsWriter.write(
      path: folder.path(name), overwrite: true,
      tensors: tensors.map { .init(name: $0, shape: [2], floats: [1, 2]) })
  }

  @discardableResult
  private func index(_ map: [(String, String)], totalSize: Int? = nil) throws -> String {
    var weights = JSONObject()
    for (tensor, shard) in map { weights.set(tensor, .string(shard)) }
    let metadata: JSONValue = totalSize.map { ["total_size": .int($0)] } ?? [:]
    let text = (["metadata": metadata, "weight_map": .object(weights)] as JSONValue).serialized()
    return try folder.write("model.safetensors.index.json", Array(text.utf8))
  }

  private func problem(_ path: String) -> CheckpointError.Problem? {
    do throws(CheckpointError) {
      _ = try Checkpoint.read(path: path)
      return nil
    } catch {
      return error.problem
    }
  }

  @Test("the tensors of all shards are in one catalog, by file, index or folder")
  func merged() throws {
    try shard("a-2.safetensors", ["c"])
    try shard("a-1.safetensors", ["b", "a"])
    let path = try index(
      [("a", "a-1.safetensors"), ("b", "a-1.safetensors"), ("c", "a-2.safetensors")], totalSize: 24)
    for path in [path, folder.url.path, folder.url.path + "/"] {
      let catalog = try Checkpoint.read(path: path)
      #expect(catalog.tensors.map(\.name) == ["a", "b", "c"])
      #expect(catalog.sources.count == 2 && catalog.warnings.isEmpty)
      #expect(try catalog["c"]?.floats() == [1, 2])
    }
    let single = try Checkpoint.read(path: folder.path("a-2.safetensors"))
    #expect(single.tensors.map(\.name) == ["c"])
  }

  @Test("a folder without an index is its model.safetensors")
  func single() throws {
    try shard("model.safetensors", ["a"])
    #expect(try Checkpoint.read(path: folder.url.path).tensors.count == 1)
  }

  @Test(
    "S52 a shard that is no plain name is refused",
    arguments: [
      "../x.safetensors", "/etc/x.safetensors", "..\\x.safetensors", "sub/x.safetensors",
      "https://example.org/x.safetensors", "x\u{0}.safetensors", "..%2fx.safetensors", "",
      ".safetensors", "C:x.safetensors", "model.safetensors.index.json", "x.bin",
    ])
  func s52(_ name: String) throws {
    #expect(try problem(index([("a", name)])) == .unsafeShardName(name))
  }

  @Test("S53 a missing shard is refused as a missing file")
  func missingShard() throws {
    #expect(
      try problem(index([("a", "none.safetensors")])) == .missingShards(["none.safetensors"]))
  }

  @Test("S53 a tensor that its shard lacks, or that two shards hold, is refused")
  func misplaced() throws {
    try shard("x.safetensors", ["a"])
    try shard("y.safetensors", ["b"])
    #expect(
      try problem(index([("a", "x.safetensors"), ("c", "x.safetensors")]))
        == .notInShard("x.safetensors"))
    #expect(
      try problem(index([("a", "x.safetensors"), ("b", "x.safetensors")]))
        == .notInShard("x.safetensors"))
    try shard("y.safetensors", ["a", "b"])
    #expect(
      try problem(index([("a", "x.safetensors"), ("b", "y.safetensors")]))
        == .inTwoShards("x.safetensors", "y.safetensors"))
  }

  @Test("S53 a wrong total size and a tensor beyond the index are warnings")
  func warnings() throws {
    try shard("x.safetensors", ["a", "extra"])
    let catalog = try ShardIndex.read(path: index([("a", "x.safetensors")], totalSize: 7))
    #expect(
      catalog.warnings == [
        "x.safetensors: 'extra' is not in the index",
        "total_size is 7, but the tensors have 16 bytes",
      ])
  }

  @Test("S53 shards whose names differ only by case are refused")
  func caseDiffers() throws {
    #expect(
      try problem(index([("a", "x.safetensors"), ("b", "X.safetensors")]))
        == .shardsDifferByCase("X.safetensors", "x.safetensors"))
  }

  @Test("S48 a link that leaves the folder is refused unless allowed")
  func links() throws {
    let elsewhere = try TemporaryFolder()
    try shard("x.safetensors", ["a"])
    try FileManager.default.moveItem(
      atPath: folder.path("x.safetensors"), toPath: elsewhere.path("real"))
    symlink(elsewhere.path("real"), folder.path("x.safetensors"))
    let path = try index([("a", "x.safetensors")])
    guard case .symbolicLinkLeaves? = problem(path) else {
      Issue.record("the link was followed")
      return
    }
    #expect(try ShardIndex.read(path: path, links: .anywhere).tensors.count == 1)
  }

  @Test("S48 a link within the folder, or from a cache's snapshot to its blobs, is followed")
  func cacheLinks() throws {
    try shard("y.safetensors", ["a"])
    symlink("y.safetensors", folder.path("x.safetensors"))
    #expect(try problem(index([("a", "x.safetensors")])) == nil)

    let snapshot = folder.path("snapshots/abc")
    for path in [snapshot, folder.path("blobs")] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    for (name, blob) in [("x.safetensors", "1"), ("model.safetensors.index.json", "2")] {
      try FileManager.default.copyItem(
        atPath: folder.path(name == "x.safetensors" ? "y.safetensors" : name),
        toPath: folder.path("blobs/" + blob))
      symlink("../../blobs/" + blob, snapshot + "/" + name)
    }
    #expect(try Checkpoint.read(path: snapshot).tensors.count == 1)

    // A subfolder of the snapshot may use the same `blobs` folder, and no other.
    let inner = snapshot + "/tower"
    try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
    symlink("../../../blobs/2", inner + "/model.safetensors.index.json")
    symlink("../../../blobs/1", inner + "/x.safetensors")
    #expect(try Checkpoint.read(path: inner).tensors.count == 1)
    unlink(inner + "/x.safetensors")
    symlink("../../../y.safetensors", inner + "/x.safetensors")
    let error = thrownError(CheckpointError.self) {
      try Checkpoint.read(path: inner)
    }
    guard case .symbolicLinkLeaves? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("an index without a map, or that is no JSON, is refused")
  func badIndex() throws {
    let path = folder.path("i.json")
    for (text, expected) in [
      ("{}", CheckpointError.Problem.missingField("weight_map")),
      (#"{"model_type": "convnext"}"#, .description),
      (
        "{\"weight_map\":[]}",
        .wrongType(field: "weight_map", found: "array", expected: "an object")
      ),
      (
        "{\"weight_map\":{\"a\":1}}",
        .wrongType(field: "weight_map", found: "number", expected: "a string")
      ),
    ] {
      try folder.write("i.json", Array(text.utf8))
      #expect(problem(path) == expected)
    }
    try folder.write("i.json", Array("{".utf8))
    guard case .json? = problem(path) else {
      Issue.record("not refused as JSON")
      return
    }
  }
}
