import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMTransport

@Suite("Packed files")
struct PackedRuleTests {
  let sample: PackedSample

  init() throws { sample = try PackedSample() }

  private static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  @Test("the golden files that are sound unpack to the containers that they are named after")
  func accepted() throws {
    let files = try Golden.files("vlmzp/accept")
    for file in files {
      try sample.unpack(PackedInput(path: file), to: "x.vlmz", overwrite: true)
      let expected = try Self.bytes(Golden.container(Golden.name(file)))
      #expect(try sample.folder.read("x.vlmz") == expected, "\(file)")
    }
    #expect(files.count == 5)
  }

  @Test(
    "each rule has golden files that break it, which are refused for it and leave nothing behind",
    arguments: PackedRule.allCases)
  func refused(_ rule: PackedRule) throws {
    let files = try Golden.files("vlmzp/reject").filter {
      Golden.name($0).hasPrefix(rule.rawValue)
    }
    #expect(!files.isEmpty)
    for file in files {
      let error = transportError {
        try sample.unpack(PackedInput(path: file), to: "x.vlmz")
      }
      let text = error?.description ?? ""
      #expect(error?.rule == rule, "\(file): \(text)")
      #expect(error?.exitStatus == .badData)
      #expect(text.hasPrefix(file + ": ") && text.hasSuffix(" [\(rule.rawValue)]"), "\(text)")
      #expect(!text.contains("\n"))
      #expect(try sample.folder.names == [])
    }
  }

  @Test("every truncation of a packed file is refused")
  func truncated() throws {
    let bytes = try Self.bytes(try Golden.files("vlmzp/accept")[1])
    for count in 0..<bytes.count {
      let error = transportError { try sample.verify(Array(bytes[..<count])) }
      let rule = error?.rule
      #expect(rule == .p01 || rule == .p08 || rule == .p16, "\(count)")
    }
    #expect(bytes.count > 900)
  }

  @Test("every flipped bit of a packed file is found")
  func flipped() throws {
    let bytes = try Self.bytes(try Golden.files("vlmzp/accept")[1])
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] ^= 1 << (position % 8)
      let error = transportError { try sample.verify(damaged) }
      #expect(error?.rule != nil, "\(position)")
    }
    #expect(bytes.count > 900)
  }

  @Test("damage is reported with the frame and the byte where it is")
  func place() throws {
    try sample.write()
    let summary = try sample.pack(sample.folder.path("model.vlmz"), "x.vlmzp")
    var bytes = try sample.folder.read("x.vlmzp")
    var reader = try PackedReader(PackedInput(name: "x", bytes: bytes))
    _ = try reader.nextHeader()
    let start = reader.position.packedOffset
    bytes[start + 64 + 1000] ^= 4
    #expect(summary.frameCount > 2)
    let error = transportError { try sample.unpack(bytes, to: "x.vlmz") }
    #expect(error?.place == .frame(1, at: start))
    #expect(error?.rule == .p17)
    #expect(error?.description.hasPrefix("pipe: frame 1 at byte \(start): checksum ") == true)
  }

  @Test("other files are named for what they are")
  func foreign() throws {
    let container = Golden.container("A02-two-tensors")
    let error = transportError { try sample.unpack(PackedInput(path: container), to: "x.vlmz") }
    #expect(error?.problem == .foreign(FileKind("a .vlmz container")))
    let page = transportError {
      try sample.unpack(Array("<!DOCTYPE html><html>404</html>".utf8), to: "x.vlmz")
    }
    #expect(
      page?.description.contains("is an HTML page, expected a packed .vlmzp; download it again")
        == true)
  }
}

/// `scripts/read_vlmzp.py` was written from the specification alone; the two readers must agree.
@Suite("The second reader of packed files")
struct IndependentPackedReaderTests {
  private static let script = Golden.root.appendingPathComponent("scripts/read_vlmzp.py").path

  private static func run(_ arguments: [String]) throws -> (status: Int32, output: [UInt8]) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, Array(data))
  }

  /// Python, and something that decodes zstd.
  static let isPossible =
    (try? run([
      "-c",
      "import shutil, importlib.util as u, sys; "
        + "sys.exit(0 if shutil.which('zstd') or u.find_spec('zstandard') else 1)",
    ]))?.status == 0

  @Test(
    "it unpacks what this packs", .enabled(if: isPossible, "needs python3 and zstd"),
    arguments: ["A03-every-section", "A05-every-scheme", "A14-three-five-and-six-bits"])
  func packed(_ name: String) throws {
    let sample = try PackedSample()
    try sample.pack(Golden.container(name), "x.vlmzp")
    let outcome = try Self.run([Self.script, "--unpack", sample.folder.path("x.vlmzp")])
    #expect(outcome.status == 0)
    let original = try Data(contentsOf: URL(fileURLWithPath: Golden.container(name)))
    #expect(outcome.output == Array(original))
  }
}
