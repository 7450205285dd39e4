import Testing
import VLMCheckpoint
import VLMTestSupport

enum TorchBombs {
  struct Bomb: Sendable, CustomTestStringConvertible {
    let name: String
    let opcodes: [UInt8]
    var deflates = false
    /// The error's description; nil if the file is read.
    var error: String?

    var testDescription: String { name }

    /// `opcodes` as the value of a state dict beside a tensor.
    init(_ name: String, _ opcodes: [UInt8], deflates: Bool = false, error: String? = nil) {
      self.name = name
      self.deflates = deflates
      self.error = error
      self.opcodes =
        Pickled.dict([
          (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])),
          (.text(name), .raw(opcodes)),
        ]).opcodes
    }
  }

  static func times(_ count: Int, _ opcodes: [UInt8]) -> [UInt8] {
    Array(repeatElement(opcodes, count: count).joined())
  }

  static let tensor = Pickled.tensor(.storage(count: 4), [1], [1]).opcodes

  /// A list of `count` references to `first`, itself put into the memo as `memo`.
  static func repeated(_ count: Int, _ first: [UInt8], memo: UInt8) -> [UInt8] {
    [0x5d, 0x28] + first + [0x71, memo] + times(count, [0x68, memo]) + [0x65]
  }

  static let memory = "bytes of memory"
  static let all: [Bomb] = [
    Bomb(
      String(repeating: "a", count: 900),
      repeated(1000, repeated(1000, tensor, memo: 2), memo: 1), error: memory),
    Bomb("n", repeated(2000, repeated(2000, tensor, memo: 2), memo: 1), error: memory),
    Bomb("tuples", [0x29] + times(3_000_000, [0x85]), error: memory),
    Bomb("deflated", [0x4e] + times(6_000_000, [0x85]), deflates: true, error: memory),
    Bomb("lists", [0x28] + times(2_000_000, [0x5d]) + [0x6c], error: memory),
    Bomb("dictionaries", [0x28] + times(2_000_000, [0x7d]) + [0x6c], error: memory),
    Bomb("nones", [0x28] + times(6_000_000, [0x4e]) + [0x6c], deflates: true, error: memory),
    Bomb("copies", [0x28, 0x4e] + times(6_000_000, [0x32]) + [0x31, 0x4e], error: memory),
    Bomb("memo", [0x4e] + times(3_000_000, [0x94]), error: memory),
    Bomb(
      "names", repeated(100_000, Pickled.text(String(repeating: "b", count: 80)).opcodes, memo: 1)),
    Bomb("ints", [0x5d, 0x28] + times(500_000, [0x4b, 7]) + [0x65]),
  ]
}

/// Pickles whose values are many times their size: repeated references, and values of one byte in
/// the file. The memory limit follows from the file's size.
@Suite struct TorchMemoryTests {
  @Test("values take at most 16 times the file and 16 MiB", arguments: TorchBombs.all)
  func bounded(_ bomb: TorchBombs.Bomb) throws {
    let make = try TorchComposer()
    var entries = TorchComposer.entries([0x80, 4] + bomb.opcodes + [0x2e])
    for index in entries.indices where entries[index].name.hasSuffix("data.pkl") {
      entries[index].deflates = bomb.deflates
    }
    let bytes = Zip(entries).bytes
    let path = try make.folder.write("bomb.pt", bytes)
    let result = try Probe.run("refusal", path)
    let words = result.output.split(separator: " ", maxSplits: 2)
    let peak = try #require(words.count == 3 ? Int(words[1]) : nil)
    // The process itself needs some memory, too.
    #expect(peak <= 16 * bytes.count + 24 << 20, "\(peak) for \(bytes.count)")
    #expect(words[2].contains(bomb.error ?? "read"), "\(words[2].prefix(300))")
  }

  @Test("names of classes that are one text, a hundred thousand times, are left out")
  func repeatedNames() throws {
    let make = try TorchComposer()
    let text = Pickled.text(String(repeating: "b", count: 800)).opcodes
    let pickle = Pickled.dict([
      (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])),
      (.text("classes"), .raw(TorchBombs.repeated(100_000, text, memo: 1))),
    ])
    let bytes = Zip(TorchComposer.entries([0x80, 2] + pickle.opcodes + [0x2e])).bytes
    let path = try make.folder.write("names.pt", bytes)
    let result = try Probe.run("refusal", path)
    let numbers = result.output.split(separator: " ").compactMap { Int($0) }
    try #require(numbers.count == 2 && numbers[0] == 1)
    #expect(numbers[1] <= 16 * bytes.count + 24 << 20)
    #expect(try PyTorchFile.read(path: path).metadata.isEmpty)
  }

  @Test("a list of distinct names is read")
  func names() throws {
    let make = try TorchComposer()
    let names = (0..<22_000).map { "n\($0), a name of some length" }
    let pickle = Pickled.dict([
      (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])),
      (.text("classes"), .list(names.map { .text($0) })),
    ])
    let bytes = Zip(TorchComposer.entries([0x80, 2] + pickle.opcodes + [0x2e])).bytes
    let catalog = try make.read(bytes)
    #expect(catalog.metadata.map(\.key) == ["classes"])
    #expect(catalog.metadata.first?.value.hasSuffix("\"n21999, a name of some length\"]") ?? false)
  }

  @Test(
    "reported bombs", .enabled(if: TestFiles.hasCases, Comment(rawValue: TestFiles.casesReason)),
    arguments: ["pytorch-name-bomb/names.pt", "pytorch-tuple-bomb/tuple.pt"])
  func reported(_ name: String) throws {
    let path = TestFiles.shared.appendingPathComponent("cases/hostile/" + name).path
    try #require(TestFiles.exists(path))
    let result = try Probe.run("refusal", path)
    let words = result.output.split(separator: " ", maxSplits: 2)
    let peak = try #require(words.count == 3 ? Int(words[1]) : nil)
    #expect(peak <= 24 << 20)
    #expect(words[2].contains(TorchBombs.memory))
  }
}
