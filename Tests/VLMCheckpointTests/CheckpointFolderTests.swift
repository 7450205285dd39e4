import Foundation
import Testing
import VLMCheckpoint
import VLMTestSupport

/// Which file of a folder holds the weights.
struct CheckpointFolderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ name: String, _ tensors: [String] = ["w"]) throws {
    try SafetensorsWriter.write(
      path: folder.path(name), overwrite: true,
      tensors: tensors.map { .init(name: $0, shape: [1], floats: [1]) })
  }

  private func read() throws -> [String] {
    try Checkpoint.read(path: folder.url.path).tensors.map(\.name)
  }

  private func problem() -> CheckpointError.Problem? {
    thrownError(CheckpointError.self) { try read() }?.problem
  }

  @Test("all parts of a model whose index is lost are read, in their order")
  func shards() throws {
    for number in [3, 1, 2] {
      try write("model-0000\(number)-of-00003.safetensors", ["w\(number)"])
    }
    #expect(try read() == ["w1", "w2", "w3"])
  }

  @Test("missing parts of a model without an index are named")
  func missing() throws {
    try write("pytorch_model-00002-of-00004.bin")
    try write("pytorch_model-00003-of-00004.bin", ["v"])
    let names = ["pytorch_model-00001-of-00004.bin", "pytorch_model-00004-of-00004.bin"]
    #expect(problem() == .missingShards(names))
    let error = thrownError(CheckpointError.self) { try read() }
    #expect(error?.exitStatus == .noInput)
    #expect(
      error?.description
        == "\(folder.url.path): the folder lacks '\(names[0])', '\(names[1])' of its model; download what is missing"
    )
  }

  @Test("a tensor in two parts of a model without an index is refused")
  func twice() throws {
    try write("a-00001-of-00002.safetensors")
    try write("a-00002-of-00002.safetensors")
    #expect(
      problem() == .inTwoShards("a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"))
  }

  @Test(
    "files that are not the parts of one model leave a choice",
    arguments: [
      ["a-00001-of-00002.safetensors", "b-00002-of-00002.safetensors"],
      ["a-00001-of-00002.safetensors", "a-00002-of-00003.safetensors"],
      ["a-00001-of-00002.safetensors", "a-00002-of-00002.bin"],
      ["a-00001-of-00002.safetensors", "a.safetensors"],
      ["a-1-of-2.safetensors", "a-2-of-2.safetensors"],
      ["a-00000-of-00002.safetensors", "a-00003-of-00002.safetensors"],
    ])
  func choice(names: [String]) throws {
    for name in names { try write(name) }
    #expect(problem() == .severalModels(names.sorted()))
  }

  @Test("a part of a model without an index must not lead out of the folder")
  func links() throws {
    let elsewhere = try TemporaryFolder()
    try write("a-00001-of-00002.safetensors", ["w1"])
    try SafetensorsWriter.write(
      path: elsewhere.path("x"), overwrite: true,
      tensors: [.init(name: "w2", shape: [1], floats: [1])])
    symlink(elsewhere.path("x"), folder.path("a-00002-of-00002.safetensors"))
    guard case .symbolicLinkLeaves? = problem() else {
      Issue.record("\(String(describing: problem()))")
      return
    }
  }

  @Test("a folder without weights says what it has")
  func empty() throws {
    try folder.write("config.json", [1])
    #expect(problem() == .noWeights([]))
    for name in ["tf_model.h5", "flax_model.msgpack", "model.onnx"] { try folder.write(name, [1]) }
    #expect(problem() == .noWeights(["flax_model.msgpack", "model.onnx", "tf_model.h5"]))
    let error = thrownError(CheckpointError.self) { try read() }
    #expect(
      error?.description
        == "\(folder.url.path): the folder has no weights, found 'flax_model.msgpack', 'model.onnx', "
        + "'tf_model.h5', expected safetensors, PyTorch or GGUF files; from_pretrained of transformers 4 "
        + "with from_flax=True or from_tf=True, then save_pretrained, makes one")
  }

  @Test("exports in folders of their own, archives and pipelines are told with what to do")
  func otherForms() throws {
    func text() -> String? {
      thrownError(CheckpointError.self) { try read() }?.description
    }
    try FileManager.default.createDirectory(
      atPath: folder.path("onnx"), withIntermediateDirectories: true)
    _ = try folder.write("onnx/model.onnx", Array("x".utf8))
    #expect(problem() == .noWeights(["onnx/model.onnx"]))
    #expect(text()?.contains("convert the model that it was made from") == true)
    _ = try folder.write("model.zip", Array("x".utf8))
    #expect(text()?.contains("unpack the archive first") == true)
    _ = try folder.write("model_index.json", Array("{}".utf8))
    #expect(problem() == .pipeline)
    #expect(text()?.contains("a pipeline of diffusers") == true)
  }

  @Test("a download cache of many models names them", arguments: ["", "hub/"])
  func cache(_ place: String) throws {
    for name in ["models--me--b", "models--me--a", "datasets--me--c"] {
      try FileManager.default.createDirectory(
        atPath: folder.path(place + name + "/snapshots/1"), withIntermediateDirectories: true)
    }
    let names = ["models--me--a", "models--me--b"].map { place + $0 }
    #expect(problem() == .innerFolders(names, ready: folder.path(names[0])))
  }

  @Test("what compiling, sharding and data-parallel training put into names is left out")
  func wrappers() throws {
    let cases = [
      (["module.a.w", "module.b.w"], ["a.w", "b.w"]),
      (["module.module.a", "module.module.b"], ["a", "b"]),
      (["_orig_mod.a.w", "b._orig_mod.w"], ["a.w", "b.w"]),
      (
        ["_fsdp_wrapped_module.a._fsdp_wrapped_module.w", "b._checkpoint_wrapped_module.w"],
        ["a.w", "b.w"]
      ),
      (["module._orig_mod.a", "_orig_mod.module.b"], ["a", "b"]),
      // Unchanged: not all names have the prefix, two would become equal, one would become empty.
      (["module.a", "b"], ["module.a", "b"]),
      (["a._orig_mod.w", "a.w"], ["a._orig_mod.w", "a.w"]),
      (["module.", "module.a"], ["module.", "module.a"]),
      (["_orig_mod", "a"], ["_orig_mod", "a"]),
    ]
    for (names, expected) in cases {
      try write("model.safetensors", names)
      let catalog = try Checkpoint.read(path: folder.url.path)
      let found = catalog.unwrapped()
      #expect(Set(found.tensors.map(\.name)) == Set(expected), "\(names)")
      #expect(expected.allSatisfy { found[$0]?.name == $0 })
    }
  }
}
