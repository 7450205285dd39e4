import Testing
import VLMCheckpoint
import VLMTestSupport

/// Pickles in valid archives.
@Suite struct TorchPickleTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private func zip(_ pickle: [UInt8]) -> [UInt8] { Zip(TorchComposer.entries(pickle)).bytes }

  /// A state dict in which `opcodes` stand for one more value.
  private func state(with opcodes: [UInt8]) -> [UInt8] {
    zip(
      Pickled.dict([
        (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])), (.text("x"), .raw(opcodes)),
      ]).pickle())
  }

  private func tensor(offset: Int = 0, _ shape: [Int], _ strides: [Int]) -> [UInt8] {
    tensor(.storage(count: 4), offset: offset, shape, strides)
  }

  private func tensor(
    _ storage: Pickled, offset: Int = 0, _ shape: [Int], _ strides: [Int]
  ) -> [UInt8] {
    zip(Pickled.state([("w", .tensor(storage, offset: offset, shape, strides))]).pickle())
  }

  @Test("Z29 tied storages give two tensors on the same bytes")
  func z29() throws {
    let tied = Pickled.tensor(.storage(count: 4), [4], [1])
    let catalog = try make.read(zip(Pickled.state([("a", tied), ("b", tied)]).pickle()))
    #expect(catalog["a"]?.range == catalog["b"]?.range)
    #expect(try catalog["b"]?.floats() == [1, 2, 3, 4])
  }

  @Test(
    "Z30 storage keys that are no numbers",
    arguments: ["../0", "0/../1", "x", "", "-1", String(repeating: "1", count: 10_000)])
  func z30(_ key: String) throws {
    try make.expectRefusal(tensor(.storage(key, count: 4), [4], [1]), "storage key")
  }

  @Test("Z31 a storage declared with two types or sizes")
  func z31() throws {
    for other in [Pickled.storage(count: 3), .storage(count: 4, type: "IntStorage")] {
      let items = [
        ("a", Pickled.tensor(.storage(count: 4), [3], [1])), ("b", Pickled.tensor(other, [3], [1])),
      ]
      try make.expectRefusal(zip(Pickled.state(items).pickle()), "declared in two ways")
    }
  }

  @Test("Z33 pickles that are empty, do not stop, or stop early")
  func z33() throws {
    try make.expectRefusal(zip([]), "data.pkl", "the pickle ends")
    try make.expectRefusal(zip(Array(Pickled.state().pickle().dropLast())), "the pickle ends")
    try make.expectRefusal(zip(Pickled.state().pickle() + [0x4e]), "1 byte follows the end")
  }

  @Test("Z34 a pickle beyond the limit for its file")
  func z34() throws {
    var bomb = Zip(TorchComposer.entries([UInt8](repeating: 0x4e, count: 20 << 20)))
    bomb.entries[0].deflates = true
    try make.expectRefusal(bomb.bytes, "the pickle has 20971520 bytes, expected at most")
  }

  @Test("Z35 protocols 2 to 5 are read, others refused")
  func z35() throws {
    for version: UInt8 in 2...5 {
      #expect(try make.refusal(zip(Pickled.state().pickle(version: version))) == nil)
    }
    for version: UInt8 in [0, 1, 6, 255] {
      try make.expectRefusal(
        zip(Pickled.state().pickle(version: version)), "pickle protocol \(version)")
    }
    try make.expectRefusal(zip(Pickled.state().opcodes + [0x2e]), "protocol 0")
  }

  @Test("Z35 framed protocol 4 pickles with memoised names are read")
  func z35Frames() throws {
    var body = Array(Pickled.text("os").opcodes) + [0x94, 0x30]
    body += Pickled.text("collections").opcodes + [0x94] + Pickled.text("OrderedDict").opcodes
    body += [0x94, 0x93, 0x94, 0x29, 0x52, 0x94, 0x28]
    body += Pickled.text("w").opcodes + Pickled.tensor(.storage(count: 4), [4], [1]).opcodes
    body += [0x75, 0x2e]
    let pickle = [0x80, 4, 0x95] + Zip.little(UInt64(body.count)) + body
    #expect(try make.read(zip(pickle))["w"]?.floats() == [1, 2, 3, 4])
  }

  @Test(
    "Z36 names that could run code are refused, called or not",
    arguments: [
      "os system", "posix system", "nt system", "sys modules", "builtins eval", "builtins exec",
      "__builtin__ eval", "builtins setattr", "builtins __import__", "builtins map",
      "subprocess Popen",
      "pip main", "pip._internal main", "importlib import_module", "runpy run_path",
      "socket socket",
      "shutil rmtree", "ctypes CDLL", "operator methodcaller", "_pickle loads", "torch load",
      "torch.hub load", "torch.serialization load", "numpy load", "webbrowser open", "pty spawn",
      "types CodeType", "copyreg add_extension", "idlelib.pyshell ModifiedInterpreter",
    ])
  func z36(_ name: String) throws {
    let words = name.split(separator: " ").map(String.init)
    let global = Pickled.global(words[0], words[1])
    let called = Pickled.call(global, [.text("echo")])
    let dotted = "'\(words.joined(separator: "."))'"
    try make.expectRefusal(state(with: called.opcodes), dotted, "byte ", "could run code")
    // Named and thrown away.
    try make.expectRefusal(state(with: global.opcodes + [0x30, 0x4e]), dotted)
  }

  @Test("Z37 a name of PyTorch that loads other bytes is refused")
  func z37() throws {
    let call = Pickled.call(.global("torch.storage", "_load_from_bytes"), [.text("x")])
    try make.expectRefusal(state(with: call.opcodes), "torch.storage._load_from_bytes")
    try make.expectRefusal(state(with: call.opcodes), "torch.save(model.state_dict(), FILE)")
    // The right name in another module is an unknown function.
    let other = Pickled.call(.global("torch.utils", "_rebuild_tensor_v2"), [.storage(count: 4)])
    #expect(try make.read(state(with: other.opcodes)).tensors.map(\.name) == ["w"])
  }

  @Test("Z38 names put together on the stack")
  func z38() throws {
    let names = Pickled.text("os").opcodes + Pickled.text("system").opcodes
    try make.expectRefusal(state(with: names + [0x93]), "'os.system'")
    try make.expectRefusal(state(with: [0x4e, 0x4e, 0x93]), "None", "expected strings")
    // Both from the memo.
    let memo = Pickled.text("posix").opcodes + [0x71, 9] + Pickled.text("system").opcodes
    try make.expectRefusal(
      state(with: memo + [0x71, 8, 0x30, 0x30, 0x68, 9, 0x68, 8, 0x93]), "'posix.system'")
  }

  @Test(
    "Z39 opcodes that no checkpoint uses",
    arguments: [
      0x69, 0x6f, 0x82, 0x83, 0x84, 0x50, 0x97, 0x98, 0x46, 0x53, 0x56, 0x67, 0x70, 0x80,
      0xff,
    ] as [UInt8])
  func z39(_ code: UInt8) throws {
    try make.expectRefusal(
      state(with: [0x4e, code, 0x0a, 0x0a]), "opcode 0x\(String(code, radix: 16))", "byte")
  }

  @Test("Z39 a state for what has none")
  func z39Build() throws {
    for target in [Pickled.list([]), .dict([]), .text("x"), .tensor(.storage(count: 4), [4], [1])] {
      try make.expectRefusal(state(with: Pickled.build(target, .none).opcodes), "a state")
    }
    #expect(try make.refusal(state(with: Pickled.build(.ordered, .none).opcodes)) == nil)
  }

  @Test("Z40 known functions with other arguments than theirs")
  func z40() throws {
    let rebuild = Pickled.global("torch._utils", "_rebuild_tensor_v2")
    let shape = Pickled.tuple([.int(4)])
    let cases: [[Pickled]] = [
      [], [.storage(count: 4)], [.int(0), .int(0), shape, shape, .bool(false), .none],
      [.storage(count: 4), .none, shape, shape, .bool(false), .none],
      [.storage(count: 4), .int(0), .text("x"), shape, .bool(false), .none],
      [.storage(count: 4), .int(0), shape, shape, .int(1), .none],
    ]
    for arguments in cases {
      try make.expectRefusal(state(with: Pickled.call(rebuild, arguments).opcodes), "arguments")
    }
    try make.expectRefusal(state(with: rebuild.opcodes + [0x4e, 0x52]), "arguments are None")
    let parameter = Pickled.call(
      .global("torch._utils", "_rebuild_parameter"), [.none, .none, .none])
    try make.expectRefusal(state(with: parameter.opcodes), "arguments")
    try make.expectRefusal(state(with: Pickled.call(.int(1), []).opcodes), "called")
  }

  @Test("Z41 offsets outside the storage", arguments: [-1, Int.max, 1, 4])
  func z41(_ offset: Int) throws {
    try make.expectRefusal(tensor(offset: offset, [4], [1]), "offset")
  }

  @Test("Z42 strides: negative, too many, and zero within bounds")
  func z42() throws {
    try make.expectRefusal(tensor([4], [-1]), "arguments")
    try make.expectRefusal(tensor([2, 2], [1]), "2 extents, 1 strides")
    try make.expectRefusal(tensor([-2], [1]), "arguments")
    let catalog = try make.read(tensor([3, 4], [0, 1]))
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4])
    try make.expectRefusal(tensor([1 << 30, 4], [0, 1]), "too many for a file")
  }

  @Test("Z43 strides whose sum overflows")
  func z43() throws {
    try make.expectRefusal(tensor([3], [Int.max]), "leaves its storage")
    try make.expectRefusal(tensor([2, 2, 2], [Int.max / 2, Int.max / 2, Int.max / 2]), "leaves")
    try make.expectRefusal(tensor([1 << 40, 1 << 40], [0, 0]), "too large")
    try make.expectRefusal(tensor([.max, 0, 2], [0, 0, 0]), "too large")
  }

  @Test("Z44 transposed, overlapping and stepped views are gathered")
  func z44() throws {
    #expect(try make.read(tensor([2, 2], [1, 2]))["w"]?.floats() == [1, 3, 2, 4])
    #expect(try make.read(tensor([3, 2], [1, 1]))["w"]?.floats() == [1, 2, 2, 3, 3, 4])
    #expect(try make.read(tensor(offset: 1, [2], [2]))["w"]?.floats() == [2, 4])
    #expect(try make.read(tensor(offset: 3, [], []))["w"]?.floats() == [4])
    try make.expectRefusal(tensor(offset: 2, [2], [2]), "leaves its storage of 4 elements")
  }

  @Test("Z44 a view read in parts is the view read at once")
  func z44Parts() throws {
    let view = try #require(try make.read(tensor([3, 2, 2], [1, 0, 1]))["w"])
    let whole = try view.floats()
    for start in 0..<12 {
      for end in start...12 {
        var part = [Float](repeating: 0, count: end - start)
        try part.withUnsafeMutableBufferPointer { try view.readFloats(start..<end, into: $0) }
        #expect(part == Array(whole[start..<end]))
      }
    }
  }

  @Test("Z45 no elements, whatever the other extents")
  func z45() throws {
    let catalog = try make.read(tensor([0, 1 << 50], [1 << 60, 1 << 60]))
    #expect(catalog["w"]?.byteCount == 0)
    #expect(try catalog["w"]?.floats() == [])
    try make.expectRefusal(tensor([1 << 62, 1 << 62, 0], [1, 1, 1]), "too large")
  }

  @Test("Z46 quantized tensors are codes; sparse, nested and meta ones are refused by kind")
  func z46() throws {
    let scheme = Pickled.tuple([.global("torch", "per_tensor_affine"), .int(1), .int(0)])
    let four = Pickled.tuple([.int(16)])
    let one = Pickled.tuple([.int(1)])
    func quantized(_ scheme: Pickled) -> [UInt8] {
      let call = Pickled.call(
        .global("torch._utils", "_rebuild_qtensor"),
        [
          .storage(count: 16, type: "QInt8Storage"), .int(0), four, one, scheme, .bool(false),
          .ordered,
        ])
      return zip(Pickled.state([("w", call)]).pickle())
    }
    let catalog = try make.read(quantized(scheme))
    #expect(catalog["w"]?.dtype == .i8)
    #expect(catalog.warnings == ["1 quantized tensors are read as their codes: 'w'"])
    try make.expectRefusal(quantized(.tuple([])), "arguments")
    for (name, kind) in [
      ("_rebuild_sparse_tensor", "sparse tensor"), ("_rebuild_nested_tensor", "nested tensor"),
      ("_rebuild_meta_tensor_no_storage", "meta tensor"),
    ] {
      let call = Pickled.call(.global("torch._utils", name), [])
      try make.expectRefusal(state(with: call.opcodes), "x: is a \(kind)")
    }
  }

  @Test("Z47 storages and types that are unknown, untyped or have no counterpart")
  func z47() throws {
    try make.expectRefusal(
      tensor(.storage(count: 4, type: "FloatStorageX"), [4], [1]), "torch.FloatStorageX")
    try make.expectRefusal(tensor(.storage(count: 16, type: "UntypedStorage"), [4], [1]), "type")
    try make.expectRefusal(
      tensor(.storage(count: 1, type: "ComplexDoubleStorage"), [1], [1]), "complex128")
    #expect(
      try make.read(tensor(.storage(count: 2, type: "ComplexFloatStorage"), [2], [1]))["w"]?.dtype
        == .c64)
    #expect(
      try make.read(tensor(.storage(count: 16, type: "BoolStorage"), [16], [1]))["w"]?.dtype
        == .bool)
  }

  @Test(
    "Z47 an untyped storage with a type of its own",
    arguments: [
      ("float8_e4m3fn", 16, true), ("uint16", 8, true), ("float32", 4, true), ("float32", 5, false),
      ("float9", 4, false), ("float8_e5m2fnuz", 16, false),
    ])
  func z47Untyped(_ type: String, _ count: Int, _ isRead: Bool) throws {
    let call = Pickled.call(
      .global("torch._utils", "_rebuild_tensor_v3"),
      [
        .storage(count: 16, type: "UntypedStorage"), .int(0), .tuple([.int(count)]),
        .tuple([.int(1)]), .bool(false), .ordered, .global("torch", type),
      ])
    let bytes = zip(Pickled.state([("w", call)]).pickle())
    let refusal = try make.refusal(bytes)
    #expect((refusal == nil) == isRead)
  }

  @Test("Z48 references to storages that are malformed; the device is ignored")
  func z48() throws {
    let type = Pickled.global("torch", "FloatStorage")
    let cases: [Pickled] = [
      .none, .tuple([]), .tuple([.text("x"), type, .text("0"), .text("cpu"), .int(4)]),
      .tuple([.text("storage"), type, .text("0"), .text("cpu")]),
      .tuple([.text("storage"), type, .text("0"), .text("cpu"), .int(-4)]),
      .tuple([.text("storage"), type, .text("0"), .text("cpu"), .text("4")]),
      .tuple([.text("storage"), .text("f"), .text("0"), .text("cpu"), .int(4)]),
    ]
    for identifier in cases {
      try make.expectRefusal(tensor(.persistent(identifier), [4], [1]), "persistent identifier")
    }
    let cuda = tensor(.storage(count: 4, location: "cuda:0"), [4], [1])
    #expect(try make.read(cuda)["w"]?.floats() == [1, 2, 3, 4])
  }
}
