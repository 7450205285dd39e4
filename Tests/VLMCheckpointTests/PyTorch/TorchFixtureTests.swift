import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Real checkpoints, compared with what PyTorch reads from them.
@Suite struct TorchFixtureTests {
  @Test(
    "a Lightning checkpoint with cycles of objects of unknown classes gives its 22 tensors",
    .enabled(if: TestFiles.hasAssets, Comment(rawValue: TestFiles.assetsReason)))
  func lightning() throws {
    let catalog = try Checkpoint.readFile(path: TestFiles.asset("checkpoints/mir-1k_g7.ckpt"))
    #expect(catalog.tensors.count == 22)
    #expect(catalog["encoder.layernorm.weight"] != nil)
  }

  @Test("a file that would call eval is refused with the name and the byte")
  func hostile() throws {
    let path = TestFiles.fixture("pytorch/magic_bypass.pt")
    #expect(
      throws: CheckpointError(
        path: path, place: "magic number, byte 2",
        problem: .pyTorch(.forbiddenGlobal("__builtin__.eval")))
    ) { try Checkpoint.readFile(path: path) }
  }

  @Test("one state in both containers is the same state")
  func containers() throws {
    let zip = try Checkpoint.readFile(path: TestFiles.fixture("pytorch/all_zip.pt"))
    let legacy = try Checkpoint.readFile(path: TestFiles.fixture("pytorch/all_legacy.pt"))
    #expect(zip.tensors.count == 19)
    for tensor in zip.tensors {
      let other = try #require(legacy[tensor.name])
      #expect(other.shape == tensor.shape && other.dtype == tensor.dtype)
      #expect(tensor.withBytes { Array($0) } == other.withBytes { Array($0) })
    }
  }

  @Test("stored contiguous tensors stay in the mapped file")
  func mapped() throws {
    let path = TestFiles.fixture("pytorch/all_zip.pt")
    let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
    let tensor = try #require(try Checkpoint.readFile(path: path)["f64"])
    #expect(tensor.withBytes { Array($0) } == Array(bytes[tensor.range]))
  }

  // MARK: Damage

  /// Reads every tensor of a possibly damaged file; -1 if it is refused.
  private func read(_ path: String) throws -> Int {
    let options = PyTorchFile.Options(state: .everything, verifiesChecksums: false)
    do throws(CheckpointError) {
      return try Checkpoint.readFile(path: path, options: options).tensors
        .reduce(0) { sum, tensor in sum + tensor.withBytes { $0.count } }
    } catch {
      #expect(!error.description.isEmpty)
      return -1
    }
  }

  @Test(
    "a file cut anywhere is refused", arguments: ["candle_test.pt", "all_legacy.pt", "all_zip.pt"])
  func truncation(_ name: String) throws {
    let bytes = try Array(
      Data(contentsOf: URL(fileURLWithPath: TestFiles.fixture("pytorch/\(name)"))))
    let folder = try TemporaryFolder()
    for length in 0..<bytes.count {
      let outcome = try read(try folder.write("cut", Array(bytes[..<length])))
      #expect(outcome == -1, "\(length) of \(bytes.count) bytes")
    }
  }

  // Each mask takes every third byte, together they take all.
  @Test(
    "a file with any byte changed is read or refused",
    arguments: ["candle_test.pt", "all_legacy.pt", "all_zip.pt"], [0xff, 0x01, 0x80] as [UInt8])
  func flips(_ name: String, _ mask: UInt8) throws {
    var bytes = try Array(
      Data(contentsOf: URL(fileURLWithPath: TestFiles.fixture("pytorch/\(name)"))))
    let folder = try TemporaryFolder()
    var refused = 0
    for index in stride(from: Int(mask) % 3, to: bytes.count, by: 3) {
      bytes[index] ^= mask
      if try read(try folder.write("flipped", bytes)) < 0 { refused += 1 }
      bytes[index] ^= mask
    }
    #expect(refused > bytes.count / 40)
  }

  @Test("an archive of more than 4 GB, mostly a hole, is read at both ends")
  func large() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("large.pt")
    let count = 5 << 30
    let state = Pickled.state([
      ("big", .tensor(.storage("1", count: count, type: "ByteStorage"), [count], [1])),
      ("w", .tensor(.storage(count: 4), [4], [1])),
    ])
    let bytes = LargeZip(
      pickle: state.pickle(), hole: count, last: TorchComposer.floats)
    try bytes.write(to: path)
    let catalog = try Checkpoint.readFile(path: path)
    #expect(catalog["big"]?.byteCount == count)
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
  }
}

/// An archive with one entry beyond 32 bits, written as a hole.
private struct LargeZip {
  let pickle: [UInt8]
  let hole: Int
  let last: [UInt8]

  func write(to path: String) throws {
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    var directory: [UInt8] = []
    func add(_ name: String, _ data: [UInt8]?, crc: UInt32) throws {
      let start = try file.offset()
      let count = UInt64(data?.count ?? hole)
      let name = Array(name.utf8)
      let wide = Zip.little(count) + Zip.little(count)
      let common = joined(
        [45, 0, 0, 0, 0, 0, 0, 0, 0, 0], Zip.little(crc), Zip.little(UInt32.max),
        Zip.little(UInt32.max), Zip.little(UInt16(name.count)))
      let head = joined([0x50, 0x4b, 3, 4], common, [20, 0], name, [1, 0, 16, 0], wide)
      try file.write(contentsOf: Data(head))
      if let data {
        try file.write(contentsOf: Data(data))
      } else {
        try file.seek(toOffset: file.offset() + count)
      }
      directory += joined(
        [0x50, 0x4b, 1, 2, 45, 0], common, [28, 0], [UInt8](repeating: 0, count: 10))
      directory += joined(Zip.little(UInt32.max), name, [1, 0, 24, 0], wide, Zip.little(start))
    }
    try add("a/data.pkl", pickle, crc: Zip.crc(pickle))
    // Without a checksum: nothing reads through the hole.
    try add("a/data/1", nil, crc: 0)
    try add("a/data/0", last, crc: Zip.crc(last))
    let start = try file.offset()
    let record = start + UInt64(directory.count)
    var end = joined(
      directory, [0x50, 0x4b, 6, 6], Zip.little(UInt64(44)), [45, 0, 45, 0],
      [UInt8](repeating: 0, count: 8), Zip.little(UInt64(3)), Zip.little(UInt64(3)),
      Zip.little(UInt64(directory.count)), Zip.little(start))
    end += joined([0x50, 0x4b, 6, 7, 0, 0, 0, 0], Zip.little(record), [1, 0, 0, 0])
    end += joined([0x50, 0x4b, 5, 6, 0, 0, 0, 0], [UInt8](repeating: 0xff, count: 12), [0, 0])
    try file.write(contentsOf: Data(end))
    try file.close()
  }
}
