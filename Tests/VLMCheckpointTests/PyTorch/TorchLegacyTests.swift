import Testing
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

/// PyTorch's format before 1.6, a stream of pickles, and files that look like it.
@Suite struct TorchLegacyTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private typealias Composer = TorchComposer

  private func legacy(with opcodes: [UInt8]) -> [UInt8] {
    let tensor = Pickled.tensor(.storage(count: 4, view: [.none]), [2, 2], [2, 1])
    return Composer.legacy(.dict([(.text("w"), tensor), (.text("x"), .raw(opcodes))]))
  }

  private func legacy(view: [Pickled], _ shape: [Int], offset: Int = 0) -> [UInt8] {
    Composer.legacy(
      Pickled.state([
        ("w", .tensor(.storage(count: 4, view: view), offset: offset, shape, [1]))
      ]))
  }

  @Test("a sound stream is read")
  func sound() throws {
    let catalog = try make.read(Composer.legacy())
    #expect(catalog.format == .pyTorchLegacy)
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
  }

  @Test("L01 empty files and single bytes")
  func l01() throws {
    try make.expectRefusal([], "empty")
    for byte: UInt8 in [0x80, 0x50, 0] { try make.expectRefusal([byte], "1 byte,") }
  }

  @Test("L02 a pickle without the magic number")
  func l02() throws {
    try make.expectRefusal(Composer.legacy(magic: Pickled.int(7).pickle()), "torch.save")
    try make.expectRefusal(Pickled.state().pickle(), "torch.save")
  }

  @Test("L03 the magic number in another type")
  func l03() throws {
    let text = Array("L119547037146038801333356L\n".utf8)
    try make.expectRefusal(Composer.legacy(magic: Pickled.raw(text).pickle()), "beyond 64 bits")
    for value in [Pickled.bool(true), .raw([0x47, 0, 0, 0, 0, 0, 0, 0, 0]), .text("1950a86a")] {
      try make.expectRefusal(Composer.legacy(magic: value.pickle()), "torch.save")
    }
  }

  @Test("L04 another version of the format")
  func l04() throws {
    for version in [Pickled.int(1000), .int(1002), .bool(true), .none] {
      try make.expectRefusal(Composer.legacy(version: version), "version is not 1001")
    }
  }

  @Test("L05 descriptions of the system: missing, big-endian, of odd sizes")
  func l05() throws {
    try make.expectRefusal(Composer.legacy(system: .none), "description of the system")
    try make.expectRefusal(Composer.legacy(system: .dict([])), "description of the system")
    let big = Pickled.dict([(.text("little_endian"), .bool(false))])
    try make.expectRefusal(Composer.legacy(system: big), "big-endian")
    let odd = Pickled.dict([
      (.text("little_endian"), .bool(true)),
      (.text("type_sizes"), .dict([(.text("long"), .int(8))])),
    ])
    #expect(try make.refusal(Composer.legacy(system: odd)) == nil)
  }

  @Test("L06 fewer than five pickles")
  func l06() throws {
    var bytes = Composer.magic
    try make.expectRefusal(bytes, "ends before the protocol version")
    bytes += Pickled.int(1001).pickle()
    try make.expectRefusal(bytes, "ends before the system description")
    bytes += Composer.system.pickle()
    try make.expectRefusal(bytes, "ends before the object")
    bytes += Composer.legacyState.pickle()
    try make.expectRefusal(bytes, "ends before the list of storages")
  }

  private static let call = Pickled.call(.global("os", "system"), [.text("id")])

  @Test("L07 a call in the object")
  func l07() throws {
    try make.expectRefusal(legacy(with: Self.call.opcodes), "os.system", "object")
  }

  @Test("L08 code behind the first pickle")
  func l08() throws {
    try make.expectRefusal(Composer.magic + Self.call.pickle(), "os.system", "protocol version")
  }

  @Test("L09 code in the description of the system")
  func l09() throws {
    try make.expectRefusal(Composer.legacy(system: Self.call), "os.system", "system description")
  }

  @Test("L10 code in the list of storages")
  func l10() throws {
    try make.expectRefusal(Composer.legacy(keys: Self.call), "os.system", "list of storages")
  }

  @Test("L11 lists of storages that are none, repeat, or name others")
  func l11() throws {
    try make.expectRefusal(Composer.legacy(keys: .dict([])), "expected a list")
    try make.expectRefusal(Composer.legacy(keys: .list([.int(0)])), "an integer")
    try make.expectRefusal(Composer.legacy(keys: .list([.text("0"), .text("0")])), "twice")
    try make.expectRefusal(Composer.legacy(keys: .list([.text("9")])), "storage 9", "no such")
    try make.expectRefusal(Composer.legacy(keys: .list([])), "follow the last storage")
  }

  @Test("L12 a list of ten million storages")
  func l12() throws {
    let opcodes = [0x5d, 0x28] + [UInt8](repeating: 0x4e, count: 10_000_000) + [0x65]
    try make.expectRefusal(Composer.legacy(keys: .raw(opcodes)), "bytes of memory")
    let million = [0x5d, 0x28] + [UInt8](repeating: 0x4e, count: (1 << 20) + 1) + [0x65]
    // In a file that is large enough for their values.
    let rest = [UInt8](repeating: 0, count: 8 << 20)
    try make.expectRefusal(Composer.legacy(keys: .raw(million)) + rest, "1048577 storages")
  }

  @Test("L13 L14 counts of elements that are not the declared one", arguments: [-1, .max, 3, 5, 0])
  func l13(_ count: Int) throws {
    try make.expectRefusal(Composer.legacy(count: count), "has \(count) elements", "declares 4")
  }

  @Test("L15 a storage short of one byte")
  func l15() throws {
    try make.expectRefusal(
      Composer.legacy(storage: Array(Composer.floats.dropLast())), "only 15 are left")
    try make.expectRefusal(Array(Composer.legacy().dropLast(17)), "before its size")
  }

  @Test("L16 a count whose bytes overflow")
  func l16() throws {
    let count = Int.max / 2
    let state = Pickled.state([("w", .tensor(.storage(count: count), [1], [1]))])
    try make.expectRefusal(Composer.legacy(state, count: count), "elements")
  }

  @Test("L17 storages come in the order of their list")
  func l17() throws {
    let state = Pickled.state([
      ("a", .tensor(.storage("1", count: 4), [4], [1])),
      ("b", .tensor(.storage("2", count: 2), [2], [1])),
    ])
    let more = Composer.floats + Zip.little(Int64(2)) + Array(Composer.floats[8...])
    let keys = Pickled.list([.text("1"), .text("2")])
    let catalog = try make.read(Composer.legacy(state, keys: keys, storage: more))
    #expect(try catalog["b"]?.floats() == [3, 4])
    try make.expectRefusal(
      Composer.legacy(state, keys: .list([.text("2"), .text("1")]), storage: more), "declares 2")
  }

  @Test("L18 bytes after the last storage")
  func l18() throws { try make.expectRefusal(Composer.legacy() + [0], "1 byte follows") }

  @Test("L19 views of storages inside and outside them")
  func l19() throws {
    let view = Pickled.tuple([.text("1"), .int(1), .int(3)])
    #expect(try make.read(legacy(view: [view], [3]))["w"]?.floats() == [2, 3, 4])
    #expect(try make.read(legacy(view: [view], [2], offset: 1))["w"]?.floats() == [3, 4])
    try make.expectRefusal(legacy(view: [view], [4]), "leaves its storage of 3 elements")
    for (start, count) in [(2, 3), (-1, 2), (5, 0), (0, -1), (Int.max, Int.max)] {
      try make.expectRefusal(
        legacy(view: [.tuple([.text("1"), .int(start), .int(count)])], [1]), "a view")
    }
    try make.expectRefusal(legacy(view: [.text("x")], [1]), "a view")
  }

  @Test("L20 views that lie in two places, and storages that are views of each other")
  func l20() throws {
    func view(_ root: String, _ name: String, _ start: Int, _ count: Int = 2) -> Pickled {
      let place = Pickled.tuple([.text(name), .int(start), .int(count)])
      return .tensor(.storage(root, count: 4, view: [place]), [2], [1])
    }
    func file(_ a: Pickled, _ b: Pickled) -> [UInt8] {
      Composer.legacy(Pickled.state([("a", a), ("b", b)]))
    }
    let same = try make.read(file(view("0", "5", 1), view("0", "5", 1)))
    #expect(try same["a"]?.floats() == [2, 3])
    #expect(try same["b"]?.floats() == [2, 3])
    let beside = try make.read(file(view("0", "5", 0), view("0", "6", 1)))
    #expect(try beside["b"]?.floats() == [2, 3])
    try make.expectRefusal(file(view("0", "5", 1), view("0", "5", 2)), "lies in two places")
    try make.expectRefusal(file(view("0", "5", 1), view("0", "5", 1, 3)), "lies in two places")
    try make.expectRefusal(file(view("0", "5", 1), view("1", "5", 1)), "lies in two places")
    try make.expectRefusal(file(view("0", "1", 1), view("1", "0", 1)), "is a view of another")
    try make.expectRefusal(file(view("0", "0", 1), view("0", "5", 1)), "is a view of another")
    let whole = Pickled.tensor(.storage("5", count: 4, view: [.none]), [2], [1])
    try make.expectRefusal(file(view("0", "5", 1), whole), "is a view of another")
    try make.expectRefusal(file(whole, view("0", "5", 1)), "is a view of another")
  }

  @Test("L21 a module with its source")
  func l21() throws {
    let module = Pickled.persistent(
      .tuple([.text("module"), .global("net", "Net"), .text("net.py"), .text("class Net: …")]))
    try make.expectRefusal(Composer.legacy(module), "whole module of class 'net.Net'")
    try make.expectRefusal(legacy(with: module.opcodes), "whole module of class 'net.Net'")
    // As torch.save writes it: an instance of that class, with its state.
    let instance = Pickled.build(.raw(module.opcodes + [0x29, 0x81]), .dict([]))
    try make.expectRefusal(Composer.legacy(instance), "whole module of class 'net.Net'")
    try make.expectRefusal(Composer.legacy(.call(module, [])), "whole module of class 'net.Net'")
  }

  @Test("L22 a whole module is refused by its class's name")
  func l22() throws {
    let object = Pickled.build(
      .raw(Pickled.global("models.foo", "Net").opcodes + [0x29, 0x81]),
      .dict([(.text("_parameters"), Composer.legacyState), (.text("_modules"), .ordered)]))
    try make.expectRefusal(Composer.legacy(object), "whole module of class 'models.foo.Net'")
    let inside = Pickled.dict([(.text("model"), object)])
    try make.expectRefusal(Composer.legacy(inside), "whole module of class 'models.foo.Net'")
  }

  @Test("L23 strings of Python 2 are Latin-1")
  func l23() throws {
    let tensor = Pickled.tensor(.storage(count: 4, view: [.none]), [4], [1])
    for key: [UInt8] in [[0x55, 2, 0x77, 0xe9], [0x54, 2, 0, 0, 0, 0x77, 0xe9]] {
      let catalog = try make.read(Composer.legacy(.dict([(.raw(key), tensor)])))
      #expect(catalog.tensors.map(\.name) == ["wé"])
    }
  }

  @Test("L24 text opcodes of protocol 0")
  func l24() throws {
    for text in ["S'a\\'\n", "S'a", "Vx\n", "F1.5\n"] {
      try make.expectRefusal(legacy(with: Array(text.utf8)), "opcode")
    }
    #expect(try make.refusal(legacy(with: Array("I01\n".utf8))) == nil)
    for text in ["I\n", "I0x1\n", "I+1\n", "L1", "I1_0\n"] {
      #expect(try make.refusal(legacy(with: Array(text.utf8))) != nil)
    }
  }

  @Test("L25 names without an end")
  func l25() throws {
    let name = [0x63] + [UInt8](repeating: 0x61, count: 100_000)
    try make.expectRefusal(legacy(with: name), "a line of more than 512 bytes")
  }

  @Test(
    "L26 names with carriage returns, blanks or look-alikes",
    arguments: ["torch\r", "torch ", "t\u{43e}rch", "torch\u{200b}", ""])
  func l26(_ module: String) throws {
    let global = Pickled.global(module, "FloatStorage")
    try make.expectRefusal(legacy(with: global.opcodes), "plain names")
  }

  @Test("L27 builtins and copyreg beyond what describes data")
  func l27() throws {
    for (module, name) in [("__builtin__", "set"), ("copy_reg", "_reconstructor")] {
      #expect(try make.refusal(legacy(with: Pickled.global(module, name).opcodes)) == nil)
    }
    for (module, name) in [("__builtin__", "apply"), ("copyreg", "add_extension")] {
      try make.expectRefusal(
        legacy(with: Pickled.global(module, name).opcodes), "\(module).\(name)")
    }
  }

  @Test("L28 ordered dictionaries with items and attributes")
  func l28() throws {
    let tensor = Pickled.tensor(.storage(count: 4, view: [.none]), [4], [1])
    let items = Pickled.ordered.opcodes + Pickled.text("w").opcodes + tensor.opcodes + [0x73]
    let built = Pickled.build(.raw(items), .dict([(.text("_metadata"), .ordered)]))
    #expect(try make.read(Composer.legacy(built))["w"]?.floats() == [1, 2, 3, 4])
    let pairs = Pickled.call(
      .global("collections", "OrderedDict"), [.list([.list([.text("w"), tensor])])])
    #expect(try make.read(Composer.legacy(pairs))["w"]?.floats() == [1, 2, 3, 4])
    let odd = Pickled.call(.global("collections", "OrderedDict"), [.list([.list([.none])])])
    try make.expectRefusal(legacy(with: odd.opcodes), "arguments")
  }

  @Test(
    "L29 storages by type, on any device",
    arguments: [
      ("torch", "HalfStorage", 8, DType.f16), ("torch", "BFloat16Storage", 8, .bf16),
      ("torch.cuda", "FloatStorage", 4, .f32), ("torch.cuda", "LongStorage", 2, .i64),
      ("torch", "CharStorage", 16, .i8), ("torch", "ShortStorage", 8, .i16),
    ])
  func l29(_ module: String, _ name: String, _ count: Int, _ dtype: DType) throws {
    let storage = Pickled.persistent(
      .tuple([
        .text("storage"), .global(module, name), .text("0"), .text("cuda:0"), .int(count), .none,
      ]))
    let state = Pickled.state([("w", .tensor(storage, [count], [1]))])
    let catalog = try make.read(Composer.legacy(state, count: count))
    #expect(catalog["w"]?.dtype == dtype)
    #expect(catalog["w"]?.shape == [count])
  }

  @Test("L30 NumPy arrays and scalars are passed over")
  func l30() throws {
    let array = Pickled.build(
      .call(.global("numpy.core.multiarray", "_reconstruct"), [.global("numpy", "ndarray")]),
      .tuple([.int(1), .tuple([.int(2)])]))
    #expect(try make.read(legacy(with: array.opcodes)).tensors.map(\.name) == ["w"])
  }

  @Test("L31 encoded bytes")
  func l31() throws {
    func encode(_ encoding: String) -> [UInt8] {
      Pickled.call(.global("_codecs", "encode"), [.text("x"), .text(encoding)]).opcodes
    }
    #expect(try make.refusal(legacy(with: encode("latin1"))) == nil)
    try make.expectRefusal(legacy(with: encode("zip")), "arguments")
  }

  @Test("L32 L40 extension registries and buffers outside the pickle")
  func l32() throws {
    for code: UInt8 in [0x82, 0x83, 0x84, 0x97, 0x98] {
      try make.expectRefusal(legacy(with: [0x4e, code, 0, 0, 0, 0]), "opcode")
    }
  }

  @Test("L33 memo indices far apart take no memory")
  func l33() throws {
    var opcodes: [UInt8] = [0x4e]
    for index: UInt32 in [0, 1 << 31, .max] { opcodes += [0x72] + Zip.little(index) }
    #expect(try make.refusal(legacy(with: opcodes)) == nil)
  }

  @Test("L34 a memo that is overwritten between uses")
  func l34() throws {
    let confused = joined(
      Pickled.text("collections").opcodes, [0x71, 1, 0x30], Pickled.text("os").opcodes,
      [0x71, 1, 0x30, 0x68, 1], Pickled.text("system").opcodes, [0x93])
    try make.expectRefusal(legacy(with: confused), "'os.system'")
  }

  @Test("L35 L36 forbidden names that are met and thrown away")
  func l35() throws {
    let global = Pickled.global("posix", "system").opcodes
    for tail: [UInt8] in [[0x30, 0x4e], [0x32, 0x30, 0x30, 0x4e], [0x71, 1, 0x30, 0x4e]] {
      try make.expectRefusal(legacy(with: global + tail), "'posix.system'")
    }
    try make.expectRefusal(legacy(with: [0x28] + global + [0x31, 0x4e]), "'posix.system'")
  }

  @Test("L37 a state that would set methods is inert")
  func l37() throws {
    let object = Pickled.build(
      .raw(Pickled.global("some.module", "Thing").opcodes + [0x29, 0x81]),
      .dict([(.text("__setstate__"), .text("x")), (.text("__class__"), .text("y"))]))
    #expect(try make.read(legacy(with: object.opcodes)).tensors.map(\.name) == ["w"])
  }

  @Test("L38 items for what has none")
  func l38() throws {
    try make.expectRefusal(legacy(with: [0x29, 0x4e, 0x61]), "appended to a tuple")
    let tensor = Pickled.tensor(.storage(count: 4, view: [.none]), [4], [1]).opcodes
    try make.expectRefusal(legacy(with: tensor + [0x4e, 0x4e, 0x73]), "set in a tensor")
    try make.expectRefusal(legacy(with: [0x5d, 0x4e, 0x4e, 0x73]), "set in a list")
    try make.expectRefusal(legacy(with: [0x7d, 0x28, 0x90]), "added to a dictionary")
  }

  @Test("L39 ten million marks")
  func l39() throws {
    try make.expectRefusal(
      legacy(with: [UInt8](repeating: 0x28, count: 10_000_000)), "nested more than 65536 deep")
  }

  @Test("L41 bombs by multiplication and by copies")
  func l41() throws {
    let product = Pickled.call(.global("operator", "mul"), [.list([]), .int(1 << 30)])
    // Nothing is multiplied.
    #expect(try make.read(legacy(with: product.opcodes)).tensors.map(\.name) == ["w"])
    // The same hundred pairs, again and again.
    let pair = Pickled.list([.none, .none])
    let pairs = Pickled.list([Pickled](repeating: pair, count: 100))
    let call = [0x68, 1, 0x68, 2, 0x52, 0x30] as [UInt8]
    var opcodes = Pickled.global("collections", "OrderedDict").opcodes + [0x71, 1, 0x30]
    opcodes += pairs.opcodes + [0x85, 0x71, 2, 0x30]
    for _ in 0..<1000 { opcodes += call }
    try make.expectRefusal(legacy(with: opcodes + [0x4e]), "more than", "values")
  }

  @Test(
    "L42 L43 L45 L46 other kinds of files are named",
    arguments: [
      ([0x1f, 0x8b, 8, 0], "gzip"), (Array("BZh9".utf8), "bzip2"),
      ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "xz"), ([0x28, 0xb5, 0x2f, 0xfd], "Zstandard"),
      (Array("GGUF".utf8), "GGUF"), ([0x89, 0x48, 0x44, 0x46], "HDF5"),
      ([0x93] + Array("NUMPY".utf8), "NumPy"),
      ([UInt8](repeating: 0x61, count: 257) + Array("ustar".utf8), "tar archive"),
    ] as [([UInt8], String)])
  func l42(_ start: [UInt8], _ kind: String) throws {
    try make.expectRefusal(start + [UInt8](repeating: 0xee, count: 300), kind)
  }

  @Test("L44 a legacy stream with an archive behind it")
  func l44() throws {
    try make.expectRefusal(
      Composer.legacy() + Composer.zip(Pickled.state()), "bytes follow the last storage")
  }

  @Test("L45 archives and files of other programs under PyTorch's names")
  func l45() throws {
    try make.expectRefusal(Zip([.init("weights.npy", [1])]).bytes, "NumPy .npz")
    try make.expectRefusal(
      Zip([.init("config.json", []), .init("model.weights.h5", [])]).bytes, "Keras")
    // safetensors under a PyTorch name is read as what it is.
    let header = Array(#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.utf8)
    let padded = header + [UInt8](repeating: 0x20, count: 0x280 - header.count)
    let catalog = try make.read(Zip.little(UInt64(padded.count)) + padded + [7])
    #expect(catalog.format == .safetensors)
    #expect(catalog["w"]?.byteCount == 1)
  }

  @Test("L47 an index of shards: traversal is refused, zip and legacy shards go together")
  func l47() throws {
    let folder = make.folder
    func index(_ a: String) throws -> String {
      try folder.write(
        "pytorch_model.bin.index.json",
        Array(#"{"weight_map":{"w":"\#(a)","v":"pytorch_model-2.bin"}}"#.utf8))
    }
    let other = Pickled.state([("v", .tensor(.storage(count: 4, view: [.none]), [4], [1]))])
    try folder.write("pytorch_model-1.bin", Composer.zip(Pickled.state()))
    try folder.write("pytorch_model-2.bin", Composer.legacy(other))
    for name in ["../pytorch_model-1.bin", "/etc/passwd.bin", "x.pkl", "a/b.bin"] {
      let path = try index(name)
      #expect(throws: CheckpointError(path: path, problem: .unsafeShardName(name))) {
        try Checkpoint.read(path: path)
      }
    }
    _ = try index("pytorch_model-1.bin")
    let catalog = try Checkpoint.read(path: folder.url.path)
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
    #expect(try catalog["v"]?.floats() == [1, 2, 3, 4])
  }

  @Test("L48 optimizer states are passed over by default and listed on demand")
  func l48() throws {
    let tensor = Pickled.tensor(.storage(count: 4, view: [.none]), [4], [1])
    let checkpoint = Pickled.dict([
      (.text("module"), .dict([(.text("w"), tensor)])),
      (.text("optimizer"), .dict([(.text("state"), .dict([(.int(0), tensor)]))])),
    ])
    let bytes = Composer.legacy(checkpoint)
    #expect(try make.read(bytes).tensors.map(\.name) == ["w"])
    let all = try make.read(bytes, .init(state: .everything))
    #expect(all.tensors.map(\.name) == ["module.w", "optimizer.state.0"])
  }
}
