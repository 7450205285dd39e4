import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTestSupport

@testable import VLMTransport

@Suite("Interrupted transfers")
struct ResumptionTests {
  let sample: PackedSample
  let original: [UInt8]
  let packed: [UInt8]
  /// Where the frames begin in the packed file, and the end.
  let starts: [Int]

  init() throws {
    sample = try PackedSample()
    try sample.write(megabytes: 2)
    try sample.pack(sample.folder.path("model.vlmz"), "model.vlmzp")
    original = try sample.folder.read("model.vlmz")
    packed = try sample.folder.read("model.vlmzp")
    var reader = try PackedReader(PackedInput(name: "model", bytes: packed))
    var starts = [reader.position.packedOffset]
    while try reader.nextHeader() != nil { starts.append(reader.position.packedOffset) }
    self.starts = starts
  }

  /// Receives the first `count` bytes only.
  private func interrupt(at count: Int) throws -> TransportError? {
    transportError { try sample.unpack(Array(packed[..<count]), to: "out.vlmz", .partial) }
  }

  private var partialNames: [String] {
    ["model.vlmz", "model.vlmzp", "out.vlmz.partial", "out.vlmz.partial.journal"]
  }

  /// Cut in a header, in and between frames, and in the end.
  private var cuts: [Int] {
    starts.flatMap { [$0, $0 + 1, $0 + 63, $0 + 64, $0 + 65] }.filter { $0 < packed.count }
  }

  @Test("cut anywhere, the whole file once more or the rest of it completes the same bytes")
  func everywhere() throws {
    for (number, cut) in cuts.enumerated() {
      let error = try interrupt(at: cut)
      let whole = starts.last { $0 <= cut } ?? 0
      let expected = whole == starts[0] ? nil : whole
      #expect(error?.resumesAt == expected, "\(cut)")
      let offset = try Unpacker.continuation(of: sample.folder.path("out.vlmz"))
      #expect(offset == expected ?? 0)
      #expect(try sample.folder.names.count == (expected == nil ? 2 : 4))
      let rest = number % 2 == 0 || offset == 0 ? packed : Array(packed[offset...])
      let summary = try sample.unpack(rest, to: "out.vlmz", .continued)
      #expect((summary.keptBytes > 0) == (offset > 0))
      #expect(try sample.folder.read("out.vlmz") == original, "\(cut)")
      #expect(try sample.folder.names == ["model.vlmz", "model.vlmzp", "out.vlmz"])
      unlink(sample.folder.path("out.vlmz"))
    }
    #expect(cuts.count > 30)
  }

  @Test("a file is continued without reading what is there already")
  func file() throws {
    _ = try interrupt(at: packed.count / 2)
    let path = sample.folder.path("model.vlmzp")
    let summary = try sample.unpack(PackedInput(path: path), to: "out.vlmz", .continued)
    #expect(summary.keptBytes > 0)
    #expect(try sample.folder.read("out.vlmz") == original)
  }

  @Test("interrupted again and again, it ends in the same bytes")
  func repeatedly() throws {
    for share in 1..<8 {
      let part = Array(packed[..<(packed.count * share / 8)])
      let error = transportError { try sample.unpack(part, to: "out.vlmz", .continued) }
      #expect(error?.rule == .p08 || error?.rule == .p16)
    }
    try sample.unpack(packed, to: "out.vlmz", .continued)
    #expect(try sample.folder.read("out.vlmz") == original)
  }

  @Test("what was damaged on disk meanwhile is fetched again")
  func damagedPartial() throws {
    _ = try interrupt(at: starts[4])
    var partial = try sample.folder.read("out.vlmz.partial")
    partial[1 << 20] ^= 1
    try sample.folder.write("out.vlmz.partial", partial)
    let offset = try Unpacker.continuation(of: sample.folder.path("out.vlmz"))
    #expect(offset < starts[4] && starts.contains(offset))
    try sample.unpack(packed, to: "out.vlmz", .continued)
    #expect(try sample.folder.read("out.vlmz") == original)
  }

  @Test("damage in the middle keeps what is before it")
  func damagedTransfer() throws {
    var damaged = packed
    damaged[starts[3] + 100] ^= 1
    let error = transportError { try sample.unpack(damaged, to: "out.vlmz", .partial) }
    #expect(error?.rule == .p17)
    #expect(error?.resumesAt == starts[3])
    try sample.unpack(Array(packed[starts[3]...]), to: "out.vlmz", .continued)
    #expect(try sample.folder.read("out.vlmz") == original)
  }

  @Test("bytes from elsewhere in the file are refused, and nothing is lost")
  func wrongPlace() throws {
    _ = try interrupt(at: starts[3])
    let later = transportError {
      try sample.unpack(Array(packed[starts[5]...]), to: "out.vlmz", .continued)
    }
    #expect(later?.rule == .p11)
    #expect(later?.resumesAt == starts[3])
    let inside = transportError {
      try sample.unpack(Array(packed[(starts[3] + 7)...]), to: "out.vlmz", .continued)
    }
    #expect(inside?.rule == .p02)
    #expect(inside?.resumesAt == starts[3])
    try sample.unpack(Array(packed[starts[3]...]), to: "out.vlmz", .continued)
    #expect(try sample.folder.read("out.vlmz") == original)
  }

  @Test("the rest of a file without its beginning is refused")
  func restOnly() throws {
    let error = transportError {
      try sample.unpack(Array(packed[starts[2]...]), to: "out.vlmz", .continued)
    }
    #expect(error?.problem == .nothingToContinue)
    #expect(try sample.folder.names == ["model.vlmz", "model.vlmzp"])
  }

  @Test("another file does not continue it; without resuming it begins anew")
  func otherFile() throws {
    _ = try interrupt(at: starts[3])
    let other = Golden.container("A02-two-tensors")
    try sample.pack(other, "other.vlmzp")
    let bytes = try sample.folder.read("other.vlmzp")
    let error = transportError { try sample.unpack(bytes, to: "out.vlmz", .continued) }
    guard case .otherTransfer? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try Unpacker.continuation(of: sample.folder.path("out.vlmz")) == starts[3])
    try sample.unpack(bytes, to: "out.vlmz", .partial)
    let expected = try Data(contentsOf: URL(fileURLWithPath: other))
    #expect(try sample.folder.read("out.vlmz") == Array(expected))
    #expect(try sample.folder.names == ["model.vlmz", "model.vlmzp", "other.vlmzp", "out.vlmz"])
  }

  @Test("a journal with any flipped byte is not believed")
  func hostileJournal() throws {
    _ = try interrupt(at: starts[3])
    let journal = try sample.folder.read("out.vlmz.partial.journal")
    for position in stride(from: UnpackedOutput.journalMarker.count, to: journal.count, by: 5) {
      var damaged = journal
      damaged[position] ^= 0x10
      try sample.folder.write("out.vlmz.partial.journal", damaged)
      let output = try UnpackedOutput(
        path: sample.folder.path("out.vlmz"), overwrite: false, isResumable: true)
      let frames = try output.remainder()?.frames.count ?? 0
      #expect(frames <= 3, "\(position)")
    }
    #expect(journal.count > 400)
  }

  @Test("a file of somebody else where the partial one would be is not touched")
  func notOurs() throws {
    try sample.folder.write("out.vlmz.partial", Array("mine".utf8))
    let error = transportError { try sample.unpack(packed, to: "out.vlmz", .partial) }
    #expect(
      error?.problem
        == .file(FileError(path: sample.folder.path("out.vlmz.partial"), problem: .notOurs)))
    #expect(try sample.folder.read("out.vlmz.partial") == Array("mine".utf8))
  }
}
