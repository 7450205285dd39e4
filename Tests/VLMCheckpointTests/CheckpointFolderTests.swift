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
    let bare = thrownError(CheckpointError.self) { try read() }
    let step = "; download the model's into it, as hf download OWNER/NAME --local-dir FOLDER does"
    #expect(bare?.description.hasSuffix(step) == true)
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

  static let foreign: [(files: [(String, String)], text: String)] = [
    (
      [
        ("openvino_model.xml", "<?xml version=\"1.0\"?><net >"),
        ("openvino_model.bin", "\u{7}\u{1}\u{2}"),
      ],
      "such a file is made of a model's weights: convert the model that it was made from"
    ),
    (
      [
        ("a.xml", "<?xml version=\"1.0\"?><net >"), ("a.bin", "\u{7}\u{1}\u{2}"),
        ("b.xml", "<?xml version=\"1.0\"?><net >"), ("b.bin", "\u{7}\u{1}\u{2}"),
      ], "the folder has no weights, found 'a.xml', 'b.xml', expected"
    ),
    (
      [("model.param", "7767517\n1 1\n"), ("model.bin", "\u{7}\u{1}\u{2}")],
      "found 'model.param', expected safetensors, PyTorch or GGUF files; such a file is made of"
    ),
    (
      [
        ("Manifest.json", "{}"), ("Data/com.apple.CoreML/model.mlmodel", "\u{8}\u{5}"),
        ("Data/com.apple.CoreML/weights/weight.bin", "\u{7}\u{1}\u{2}"),
      ], "this is a Core ML package, expected"
    ),
    (
      [
        ("coremldata.bin", "\u{7}\u{1}\u{2}"), ("model.mil", "program(1.0)"),
        ("weights/weight.bin", "\u{7}\u{1}"),
      ],
      "this is a compiled Core ML model, expected"
    ),
    (
      [("saved_model.pb", "\u{8}\u{1}"), ("variables/variables.index", "x")],
      "this is a SavedModel of TensorFlow, expected"
    ),
    ([("ggml-model-q4_0.bin", "lmgg and more of it")], "this is a GGML file, as llama.cpp had"),
    ([("ggml-model-f16.bin", "fmgg and more of it")], "this is a GGMF file, as llama.cpp had"),
    ([("MODEL.ONNX", "\u{8}\u{8}")], "found 'MODEL.ONNX', expected safetensors"),
  ]

  @Test("folders of models in other forms are told as such, with the next step", arguments: foreign)
  func foreignFolders(files: [(String, String)], text: String) throws {
    for (name, content) in files {
      let parent = (folder.path(name) as NSString).deletingLastPathComponent
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
      try folder.write(name, Array(content.utf8))
    }
    let error = try #require(thrownError(CheckpointError.self) { try read() }?.description)
    #expect(error.contains(text), "\(error)")
    #expect(error.contains("; "), "\(error)")
  }

  @Test("a model beside an export of itself is read")
  func besideExport() throws {
    try write("weights.safetensors")
    try folder.write("openvino_model.xml", Array("<?xml version=\"1.0\"?><net >".utf8))
    try folder.write("openvino_model.bin", [0xb5, 0x3c, 0x9a])
    #expect(try read() == ["w"])
    // The content counts, not the neighbour.
    try FileManager.default.removeItem(atPath: folder.path("weights.safetensors"))
    try write("openvino_model.bin", ["v"])
    #expect(try read() == ["v"])
  }

  @Test(
    "single files without a signature are told by their names and neighbours",
    arguments: [
      ("model.engine", "a TensorRT engine, by its name"),
      ("net.onnx_data", "the tensors of an ONNX"),
      ("openvino_model.bin", "the weights of an OpenVINO model"), ("x.rknn", "an RKNN model"),
      ("flax_model.msgpack", "a Flax checkpoint, by its name"),
    ])
  func singleFiles(name: String, kind: String) throws {
    try folder.write("openvino_model.xml", Array("<?xml version=\"1.0\"?><net >".utf8))
    let path = try folder.write(name, (0..<200).map { UInt8(truncatingIfNeeded: 161 &+ $0 * 7) })
    let error = thrownError(CheckpointError.self) { try Checkpoint.read(path: path) }?.description
    #expect(error?.hasPrefix("\(path): this is \(kind)") == true, "\(error ?? "")")
    #expect(error?.contains("expected a .vlmz, safetensors, PyTorch or GGUF file; ") == true)
  }

  @Test("numbers that nothing tells of are told as no checkpoint, with the next step")
  func numbers() throws {
    let path = try folder.write("model.bin", (0..<200).map { UInt8(truncatingIfNeeded: 161 &+ $0) })
    let error = thrownError(CheckpointError.self) { try Checkpoint.read(path: path) }?.description
    #expect(
      error?.hasPrefix("\(path): this is no .vlmz, safetensors, PyTorch or GGUF file: ") == true)
    #expect(error?.hasSuffix("else convert the model that it was made from") == true)
  }

  @Test("names of weights in capitals are weights")
  func capitals() throws {
    try write("MODEL.SAFETENSORS")
    #expect(try read() == ["w"])
  }

  @Test("weights further down are named")
  func deeper() throws {
    let place = "version_0/checkpoints"
    try FileManager.default.createDirectory(
      atPath: folder.path(place), withIntermediateDirectories: true)
    symlink("..", folder.path("version_0/up"))
    try write(place + "/last.safetensors")
    #expect(problem() == .innerFolders([place], ready: folder.path(place)))
  }

  @Test("a store of ollama names its models", arguments: ["", "models/", "models/blobs/"])
  func store(_ place: String) throws {
    for inner in ["models/blobs", "models/manifests"] {
      try FileManager.default.createDirectory(
        atPath: folder.path(inner), withIntermediateDirectories: true)
    }
    try folder.write("models/blobs/sha256-aa", Array("{\"model_format\":\"gguf\"}".utf8))
    try folder.write("models/blobs/sha256-bb", Array("GGUF and more".utf8))
    let path = folder.path(place + "x").dropLast(2)
    let error = thrownError(CheckpointError.self) { try Checkpoint.read(path: String(path)) }
    let name = "models/blobs/sha256-bb".dropFirst(place.utf8.count)
    #expect(
      error?.description.hasSuffix(
        "is a store of ollama, whose models are the files '\(name)'; name one of them: "
          + folder.path("models/blobs/sha256-bb")) == true, "\(String(describing: error))")
  }

  @Test("a snapshot whose weights are still being fetched says so")
  func snapshot() throws {
    let model = folder.path("models--me--a")
    for inner in ["snapshots/1", "blobs"] {
      try FileManager.default.createDirectory(
        atPath: model + "/" + inner, withIntermediateDirectories: true)
    }
    try folder.write("models--me--a/blobs/abc.incomplete", [1])
    let error = thrownError(CheckpointError.self) { try Checkpoint.read(path: model) }
    #expect(error?.problem == .unfinished("abc.incomplete"))
  }

  @Test("files that were cut short are told as such, wherever the end is")
  func cut() throws {
    let sources = [
      TestFiles.fixture("convnext-cifar10/model.safetensors"),
      TestFiles.fixture("decoders/llama3.gguf"),
      TestFiles.fixture("upstream/torchvision.pth"),
    ]
    for source in sources {
      let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: source)))
      for count in [5, 9, 60, 200, 1000, bytes.count / 2] {
        let path = try folder.write("cut", Array(bytes.prefix(count)))
        let error = thrownError(CheckpointError.self) { try Checkpoint.read(path: path) }
        #expect(
          error?.description.contains("it is cut short, download it again") == true,
          "\(source) at \(count): \(String(describing: error))")
      }
    }
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
