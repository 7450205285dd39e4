import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// `extract`, `diff` and `hash`.
@Suite("Tools on model files", .serialized)
struct ToolTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10") + "/model.safetensors"
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func converted(_ scheme: String) throws -> String {
    let path = folder.path("\(scheme).vlmz")
    let outcome = try CommandRunner.run(
      "vlm-convert", [Self.checkpoint, path, "--\(scheme)", "-q"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func json(_ arguments: String...) throws -> JSONValue {
    let outcome = try CommandRunner.run("vlm-convert", arguments)
    return try JSONValue.parse(Array(outcome.output.utf8))
  }

  @Test("what is extracted from an f32 container has the checkpoint's names and values")
  func extractValues() throws {
    let out = folder.path("out.safetensors")
    #expect(try CommandRunner.convert("extract", converted("f32"), out).status == 0)
    let (original, copy) = (
      try SafetensorsFile.read(path: Self.checkpoint), try SafetensorsFile.read(path: out)
    )
    #expect(Set(copy.tensors.map(\.name)) == Set(original.tensors.map(\.name)))
    for tensor in original.tensors {
      let found = try #require(copy[tensor.name])
      #expect(found.dtype == .f32)
      #expect(found.shape == tensor.shape)
      #expect(try found.floats() == tensor.floats())
    }
    let keys = Set(copy.metadata.map(\.key))
    #expect(
      keys.isSuperset(of: ["vlmz.config", "vlmz.labels", "vlmz.preprocess", "vlmz.provenance"]))
    #expect(try CommandRunner.convert("diff", Self.checkpoint, out).status == 0)
  }

  @Test("a checkpoint extracted in its own type has the content it had")
  func contentRoundTrip() throws {
    let out = folder.path("out.safetensors")
    let container = try converted("f32")
    #expect(try CommandRunner.convert("extract", container, out, "--dtype", "f16").status == 0)
    let hashes = try json("hash", Self.checkpoint, out, "--json").arrayValue
    let content = try #require(hashes?.map { $0["content"]?.stringValue })
    #expect(content.count == 2)
    #expect(content[0] == content[1])
    let files = hashes?.compactMap { $0["files"]?.arrayValue?.first?["sha256"]?.stringValue }
    #expect(Set(files ?? []).count == 2)
  }

  @Test("extracting again gives a container of the same tensors", arguments: ["q8", "q4"])
  func extractAndConvert(scheme: String) throws {
    let first = try converted(scheme)
    let out = folder.path("out.safetensors")
    #expect(try CommandRunner.convert("extract", first, out).status == 0)
    #expect(try CommandRunner.convert("diff", first, out).status == 0)
    let again = folder.path("again.vlmz")
    #expect(try CommandRunner.convert(out, again, "--f32", "-q").status == 0)
    #expect(try CommandRunner.convert("diff", first, again).status == 0)
  }

  @Test("codes and scales make the values", arguments: ["q8", "q4"])
  func extractCodes(scheme: String) throws {
    let container = try converted(scheme)
    let (values, codes) = (folder.path("values.safetensors"), folder.path("codes.safetensors"))
    #expect(try CommandRunner.convert("extract", container, values, "--own-names").status == 0)
    #expect(
      try CommandRunner.convert("extract", container, codes, "--codes", "--own-names").status == 0)
    let (plain, parts) = (
      try SafetensorsFile.read(path: values), try SafetensorsFile.read(path: codes)
    )
    var compared = 0
    for tensor in plain.tensors where tensor.shape.count == 2 {
      guard let code = try parts[tensor.name + ".codes"]?.floats() else { continue }
      let scales = try #require(try parts[tensor.name + ".scales"]?.floats())
      let steps = try parts[tensor.name + ".steps"]?.floats()
      let offsets = try parts[tensor.name + ".offsets"]?.floats()
      let inputs = tensor.shape[1]
      let blocks = (inputs + 31) / 32
      let found = code.enumerated().map { index, code -> Float in
        let (row, input) = (index / inputs, index % inputs)
        let group = row * blocks + input / 32
        let whole = (steps?[group] ?? 1) * code + (offsets?[group] ?? 0)
        return scales[row] * whole
      }
      #expect(try found == tensor.floats(), "\(tensor.name)")
      compared += 1
    }
    #expect(compared > 10)
  }

  @Test("diff matches a container with its checkpoint, and lists the worst tensor first")
  func diffContainer() throws {
    let container = try converted("q4")
    let report = try json("diff", Self.checkpoint, container, "--json")
    #expect(report["same"]?.boolValue == false)
    #expect(report["only_in_first"]?.arrayValue?.isEmpty == true)
    #expect(report["only_in_second"]?.arrayValue?.isEmpty == true)
    let errors = try #require(report["tensors"]?.arrayValue).map {
      $0["relative_rmse"]?.doubleValue ?? -1
    }
    #expect(errors.count == 92)
    #expect(errors == errors.sorted(by: >))
    #expect(errors[0] > 0.05 && errors[0] < 0.12)
    #expect(try CommandRunner.convert("diff", Self.checkpoint, container).status == 2)
    #expect(
      try CommandRunner.convert("diff", Self.checkpoint, container, "--tolerance", "0.12").status
        == 0)
  }

  @Test("diff matches names that have nothing in common by what they are in the model")
  func diffByModel() throws {
    let original = try SafetensorsFile.read(path: Self.checkpoint)
    let wrapped = folder.path("wrapped.safetensors")
    try SafetensorsWriter.write(
      path: wrapped, overwrite: true,
      tensors: try original.tensors.map {
        .init(name: "module." + $0.name, shape: $0.shape, floats: try $0.floats())
      })
    let report = try json("diff", wrapped, converted("f32"), "--json")
    #expect(report["matched_by_model"]?.boolValue == true)
    #expect(report["same"]?.boolValue == true)
    #expect(report["tensors"]?.arrayValue?.count == 92)
  }

  @Test(
    "one model in the names of timm, facebook and Hugging Face is the same",
    arguments: ["facebook.pth", "hf"])
  func diffNamings(other: String) throws {
    let folder = "convnext-keys/"
    let (a, b) = (TestFiles.golden(folder + "timm.safetensors"), TestFiles.golden(folder + other))
    let outcome = try CommandRunner.convert("diff", a, b)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
  }

  @Test(
    "a ConvNeXt in open_clip's form lacks its head's bias, which it never has, and nothing else")
  func diffOpenCLIP() throws {
    let report = try json(
      "diff", TestFiles.golden("convnext-keys/timm.safetensors"),
      TestFiles.golden("convnext-keys/open_clip_pytorch_model.bin"), "--json")
    #expect(report["matched_by_model"]?.boolValue == true)
    let unused: JSONValue = ["logit_scale", "positional_embedding"]
    #expect(report["only_in_first"] == JSONValue.array(["head.fc.bias"]))
    #expect(report["only_in_second"] == JSONValue.array([]))
    #expect(report["no_part_of_model"] == unused)
    let errors = report["tensors"]?.arrayValue?.map { $0["relative_rmse"]?.doubleValue }
    #expect(errors?.count == 64)
    #expect(errors?.allSatisfy { $0 == 0 } == true)
  }

  private func write(_ name: String, _ tensors: [(String, [Int], [Float])]) throws -> String {
    let path = folder.path(name)
    try SafetensorsWriter.write(
      path: path, overwrite: true,
      tensors: tensors.map { .init(name: $0.0, shape: $0.1, floats: $0.2) })
    return path
  }

  @Test("diff names what only one has, other shapes, and values that are no numbers")
  func differences() throws {
    let a = try write(
      "a.safetensors",
      [("x", [2], [1, 2]), ("y", [2], [1, 2]), ("z", [2], [1, .nan]), ("only", [1], [1])])
    let b = try write(
      "b.safetensors",
      [("x", [2], [1, 2.5]), ("y", [2, 1], [1, 2]), ("z", [2], [1, 2]), ("new", [1], [1])])
    let outcome = try CommandRunner.convert("diff", a, b, "--tolerance", "100")
    #expect(outcome.status == 2)
    #expect(outcome.output.contains("only in \(a): only\n"))
    #expect(outcome.output.contains("only in \(b): new\n"))
    #expect(outcome.output.contains("y  shapes [2] and [2, 1]\n"))
    #expect(outcome.output.contains("z  1 value is NaN or infinite in one only\n"))
    #expect(outcome.output.contains("x  relative 0.2236  max 0.5  cosine "))
    // NaN is the same as NaN; a file is the same as itself.
    #expect(try CommandRunner.convert("diff", a, a).status == 0)
    let quiet = try CommandRunner.convert("diff", a, b, "-q")
    #expect(quiet.status == 2)
    #expect(quiet.output.isEmpty)
  }

  @Test("the content hash is that of its definition, whatever the files are")
  func contentHash() throws {
    // SHA-256 over "vlmz tensors 1\n", then "a" F32 [2] and the hash of 1, 2; made with Python.
    let whole = try write("whole.safetensors", [("b", [1], [3]), ("a", [2], [1, 2])])
    let expected = "23f56c36df43c7e6a345684d"
    let found = try json("hash", whole, "--json").arrayValue?[0]["content"]?.stringValue
    let split = folder.path("split")
    try FileManager.default.createDirectory(atPath: split, withIntermediateDirectories: true)
    try SafetensorsWriter.write(
      path: split + "/1.safetensors", overwrite: true, metadata: [("x", "y")],
      tensors: [.init(name: "a", shape: [2], floats: [1, 2])])
    try SafetensorsWriter.write(
      path: split + "/2.safetensors", overwrite: true,
      tensors: [.init(name: "b", shape: [1], floats: [3])])
    try Data(#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#.utf8)
      .write(to: URL(fileURLWithPath: split + "/model.safetensors.index.json"))
    let parts = try json("hash", split, "--json").arrayValue?[0]
    #expect(found?.hasPrefix(expected) == true, "\(found ?? "")")
    #expect(parts?["content"]?.stringValue == found)
    #expect(parts?["files"]?.arrayValue?.count == 2)
    // Another shape is another content.
    let other = try write("other.safetensors", [("b", [1], [3]), ("a", [2, 1], [1, 2])])
    #expect(try json("hash", other, "--json").arrayValue?[0]["content"]?.stringValue != found)
  }

  @Test("hash of a container is its content hash, of a file that of its bytes")
  func containerHash() throws {
    let container = try converted("q8")
    let outcome = try CommandRunner.convert("hash", container)
    let inspected = try json("inspect", container, "--json")["content_hash"]?.stringValue
    #expect(outcome.output.hasPrefix("content \(inspected ?? "-")  \(container)\n"))
    let empty = folder.path("one.safetensors")
    _ = try write("one.safetensors", [("a", [1], [1])])
    #expect(try CommandRunner.convert("hash", empty, "--content").output.hasPrefix("content "))
  }

  @Test("missing and foreign files have their statuses")
  func failures() throws {
    let text = try folder.write("text.txt", Array("no model at all, only text".utf8))
    for command in ["diff", "hash", "extract"] {
      let other = folder.path("out.safetensors")
      let second = command == "diff" ? Self.checkpoint : other
      let rest = command == "hash" ? [] : [second]
      #expect(
        try CommandRunner.run("vlm-convert", [command, "/nonexistent"] + rest).status == 66)
      #expect(try CommandRunner.run("vlm-convert", [command, text] + rest).status == 65)
    }
    let container = try converted("f16")
    #expect(try CommandRunner.convert("extract", container, container, "--force").status == 73)
    let out = try folder.write("taken.safetensors", [1])
    #expect(try CommandRunner.convert("extract", container, out).status == 73)
    #expect(try CommandRunner.convert("diff", text, text, "--tolerance", "-1").status == 64)
  }
}
