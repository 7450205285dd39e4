import Testing
import VLMCheckpoint
import VLMTestSupport

/// Regressions found with checkpoints written by PyTorch.
@Suite struct TorchFindingTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private func rebuilt(_ metadata: Pickled?, version: Int = 2) -> [UInt8] {
    var arguments: [Pickled] = [
      .storage(count: 4), .int(0), .tuple([.int(4)]), .tuple([.int(1)]), .bool(false), .ordered,
    ]
    if version == 3 { arguments.append(.global("torch", "float32")) }
    if let metadata { arguments.append(metadata) }
    let tensor = Pickled.call(.global("torch._utils", "_rebuild_tensor_v\(version)"), arguments)
    return TorchComposer.zip(.state([("w", tensor)]))
  }

  @Test("a view that PyTorch would negate or conjugate is refused, not read as it is stored")
  func flags() throws {
    for version in [2, 3] {
      for flag in ["neg", "conj"] {
        let flags = Pickled.dict([(.text(flag), .bool(true))])
        try make.expectRefusal(
          rebuilt(flags, version: version),
          "w: is a tensor with the flag '\(flag)' (resolve_\(flag)() undoes it), which cannot be read"
        )
      }
      let unset = Pickled.dict([(.text("neg"), .bool(false)), (.text("other"), .bool(true))])
      for metadata in [nil, Pickled.none, .dict([]), unset] as [Pickled?] {
        let catalog = try make.read(rebuilt(metadata, version: version))
        #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
      }
      try make.expectRefusal(rebuilt(.int(1), version: version), "the metadata of a tensor are")
    }
  }

  @Test(
    "the layout of a sparse tensor is no forbidden name, and the tensor itself no matter elsewhere")
  func layout() throws {
    let layout = Pickled.call(
      .global("torch.serialization", "_get_layout"), [.text("torch.sparse_coo")])
    let sparse = Pickled.call(.global("torch._utils", "_rebuild_sparse_tensor"), [layout])
    let w = Pickled.tensor(.storage(count: 4), [4], [1])
    let state = Pickled.state([("state_dict", .state([("w", w)])), ("mask", sparse)])
    #expect(try make.read(TorchComposer.zip(state)).tensors.map(\.name) == ["w"])
    try make.expectRefusal(TorchComposer.zip(.state([("s", sparse)])), "s: is a sparse tensor")
    let load = Pickled.global("torch.serialization", "load")
    try make.expectRefusal(TorchComposer.zip(.state([("s", load)])), "torch.serialization.load")
  }

  @Test(
    "the archive's folder may be called anything that a file may",
    arguments: ["new\nline", "esc\u{1b}[31m", "ümläut-模型", "a b", "q'\"", "\u{7f}"])
  func rootName(_ root: String) throws {
    let catalog = try make.read(Zip(TorchComposer.entries(root: root)).bytes)
    #expect(catalog.tensors.map(\.name) == ["w"])
    let damaged = Zip(TorchComposer.entries(root: root) + [.init(root + "/x", [1]) { $0.crc = 7 }])
    #expect(try make.refusal(damaged.bytes) == nil)
  }

  @Test("zip archives that are no checkpoints are told by what they hold")
  func otherArchives() throws {
    let cases = [
      (
        ["model/archive_format", "model/models/model.json"],
        "it is a program of torch.export: convert the model that it was made from"
      ),
      (["x/last.ckpt", "x/readme"], "unpack 'x/last.ckpt' from it first"),
      (["model.pth"], "unpack 'model.pth' from it first"),
      (
        ["a.npy"],
        "it is a NumPy .npz file: load it into the model in PyTorch and save its state_dict()"
      ),
    ]
    for (names, expected) in cases {
      let zip = Zip(names.map { Zip.Entry($0, [1]) })
      #expect(try make.refusal(zip.bytes) == "the zip archive has no data.pkl; " + expected)
    }
  }

  static let formats: [([UInt8], String)] = [
    (joined([0x08, 7, 0x12, 7], Array("pytorch".utf8)), "an ONNX model"),
    (joined([0x1c, 0, 0, 0], Array("TFL3 and so on".utf8)), "a TensorFlow Lite model"),
    (
      joined([0x81, 0xa6], Array("params and so on".utf8)),
      "a MessagePack file (a Flax checkpoint?)"
    ),
    (
      joined([0xde, 1, 0, 0xd9, 40], Array("params".utf8)),
      "a MessagePack file (a Flax checkpoint?)"
    ),
  ]

  @Test("models of other formats are told by their first bytes", arguments: formats)
  func otherFormats(bytes: [UInt8], kind: String) throws {
    try make.expectRefusal(
      bytes, "this is \(kind), expected a .vlmz, safetensors, PyTorch or GGUF file")
  }
}
