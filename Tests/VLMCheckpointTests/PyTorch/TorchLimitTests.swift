import Testing
import VLMCheckpoint
import VLMTestSupport

/// Pickles that demand too much memory, time or depth, and trees that are not a state dict.
@Suite struct TorchLimitTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private func zip(_ opcodes: [UInt8]) -> [UInt8] {
    Zip(TorchComposer.entries([0x80, 2] + opcodes + [0x2e])).bytes
  }

  /// A state dict whose value "x" is what `opcodes` leave on the stack.
  private func state(with opcodes: [UInt8]) -> [UInt8] {
    zip(
      Pickled.dict([
        (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])), (.text("x"), .raw(opcodes)),
      ]).opcodes)
  }

  private func refused(_ opcodes: [UInt8], _ word: String, _ location: SourceLocation) throws {
    let text = try make.refusal(state(with: opcodes))
    #expect(text?.contains(word) ?? false, "\(text ?? "read")", sourceLocation: location)
  }

  @Test("Z49 memo entries that were never set, and the largest index")
  func z49() throws {
    try refused([0x68, 99], "memo has no entry 99", #_sourceLocation)
    try refused([0x6a] + Zip.little(UInt32.max), "no entry 4294967295", #_sourceLocation)
    let largest = Zip.little(UInt32.max)
    #expect(try make.refusal(state(with: [0x4e, 0x72] + largest + [0x30, 0x6a] + largest)) == nil)
  }

  @Test("Z50 forty doublings of a list end at the limit of values")
  func z50() throws {
    // x = []; then x = [x, x], forty times.
    var opcodes: [UInt8] = [0x5d]
    for _ in 0..<40 { opcodes += [0x71, 1, 0x30, 0x5d, 0x28, 0x68, 1, 0x68, 1, 0x65] }
    try refused(opcodes, "more than 4194304 values", #_sourceLocation)
    // The state dict alone does not go there.
    let catalog = try make.read(state(with: [0x4e]), .init(state: .automatic))
    #expect(catalog.tensors.count == 1)
  }

  @Test("Z51 a million tuples in each other")
  func z51() throws {
    func tuples(_ count: Int) -> [UInt8] { [0x29] + [UInt8](repeating: 0x85, count: count) }
    try refused(tuples(200_000), "nested more than 64 deep", #_sourceLocation)
    try refused(tuples(1_000_000), "bytes of memory", #_sourceLocation)
  }

  @Test("Z52 containers that hold themselves are walked once")
  func z52() throws {
    let list: [UInt8] = [0x5d, 0x71, 1, 0x68, 1, 0x61]
    #expect(try make.read(state(with: list)).tensors.map(\.name) == ["w"])
    let dict: [UInt8] = [0x7d, 0x71, 1] + Pickled.text("me").opcodes + [0x68, 1, 0x73]
    #expect(try make.read(state(with: dict)).tensors.map(\.name) == ["w"])
  }

  @Test("Z53 stack underflow, missing marks, unhashable keys")
  func z53() throws {
    for opcodes: [UInt8] in [[0x30], [0x52], [0x32], [0x85], [0x71, 0]] {
      try make.expectRefusal(zip(opcodes), "the stack is empty")
    }
    try make.expectRefusal(zip([0x74]), "a mark is missing")
    try make.expectRefusal(zip([0x28]), "values are left")
    try make.expectRefusal(zip([0x4e, 0x4e]), "2 values are left")
    try make.expectRefusal(zip([0x28, 0x85]), "the stack is empty")
    try refused([0x7d, 0x5d, 0x4e, 0x73], "a list is a key", #_sourceLocation)
    try refused([0x7d, 0x28, 0x4e, 0x75], "a key has no value", #_sourceLocation)
  }

  @Test("Z54 integers of absurd length")
  func z54() throws {
    try refused([0x8b] + Zip.little(Int32.max), "an integer of 2147483647 bytes", #_sourceLocation)
    try refused([0x8b] + Zip.little(Int32(-1)), "an integer of -1 bytes", #_sourceLocation)
    let digits = [0x4c] + [UInt8](repeating: 0x39, count: 100_000) + [0x4c, 0x0a]
    try refused(digits, "a line of more than 512 bytes", #_sourceLocation)
    try refused([0x4c] + Array("99999999999999999999L\n".utf8), "beyond 64 bits", #_sourceLocation)
    #expect(try make.refusal(state(with: [0x8a, 0])) == nil)
    #expect(try make.refusal(state(with: [0x49] + Array("-12\n".utf8))) == nil)
  }

  @Test("Z55 strings of absurd length, and such as are no UTF-8")
  func z55() throws {
    for code: UInt8 in [0x8d, 0x8e, 0x96] {
      try refused([code] + Zip.little(UInt64(1) << 63), "length", #_sourceLocation)
      try refused([code] + Zip.little(UInt64(1) << 40), "bytes", #_sourceLocation)
    }
    try refused([0x58] + Zip.little(UInt32.max), "string of", #_sourceLocation)
    try refused([0x54] + Zip.little(Int32(-5)), "are needed", #_sourceLocation)
    for text: [UInt8] in [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80]] {
      try refused([0x58] + Zip.little(UInt32(text.count)) + text, "not UTF-8", #_sourceLocation)
    }
  }

  @Test("Z56 frames that are too long, nested, or cut an opcode")
  func z56() throws {
    try make.expectRefusal(zip([0x95] + Zip.little(UInt64.max)), "frame of")
    try make.expectRefusal(
      zip(joined([0x95], Zip.little(UInt64(10)), [0x95], Zip.little(UInt64(1)), [0x4e])), "another")
    try make.expectRefusal(zip([0x95] + Zip.little(UInt64(1)) + [0x4b, 1]), "crosses the end")
    try make.expectRefusal(
      zip([0x95] + Zip.little(UInt64(3)) + [0x4e]), "frame of 3 bytes")
    try make.expectRefusal(zip([0x95] + Zip.little(UInt64(2)) + [0x4e]), "holds None")
  }

  @Test("Z57 what is no dictionary of tensors is named")
  func z57() throws {
    try make.expectRefusal(zip([0x4b, 7]), "holds an integer")
    try make.expectRefusal(zip(Pickled.text("x").opcodes), "holds a string")
    let namespace = Pickled.build(
      .raw(Pickled.global("argparse", "Namespace").opcodes + [0x29, 0x81]),
      .dict([(.text("lr"), .int(1))]))
    try make.expectRefusal(zip(namespace.opcodes), "argparse.Namespace")
    // Beside a state dict it is ignored.
    #expect(try make.read(state(with: namespace.opcodes)).tensors.map(\.name) == ["w"])
    let tensor = Pickled.tensor(.storage(count: 4), [4], [1])
    try make.expectRefusal(zip(tensor.opcodes), "holds a tensor")
  }

  @Test("Z57 integer keys, lists and tuples are part of a tensor's name")
  func z57Names() throws {
    let tensor = Pickled.tensor(.storage(count: 4), [4], [1])
    let tree = Pickled.dict([
      (.text("a"), .list([tensor, .tuple([.none, tensor])])),
      (.int(7), .dict([(.text("b"), tensor)])),
    ])
    let catalog = try make.read(zip(tree.opcodes), .init(state: .everything))
    #expect(catalog.tensors.map(\.name) == ["a[0]", "a[1][1]", "7.b"])
  }

  @Test("Z58 names that occur twice or cannot be shown")
  func z58() throws {
    let tensor = Pickled.tensor(.storage(count: 4), [4], [1])
    func zip(_ names: String...) -> [UInt8] {
      self.zip(Pickled.state(names.map { ($0, tensor) }).opcodes)
    }
    try make.expectRefusal(zip("a", "a"), "a: the name occurs twice")
    try make.expectRefusal(zip("a\nb"), "control character")
    try make.expectRefusal(zip(""), "empty name")
    try make.expectRefusal(zip(String(repeating: "x", count: 2000)), "2000 bytes")
    let nested = Pickled.state([("a.b", tensor), ("a", Pickled.state([("b", tensor)]))])
    try make.expectRefusal(self.zip(nested.opcodes), "a.b: the name occurs twice")
  }
}
