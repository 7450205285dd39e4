import Foundation
import Testing
import VLMContainer
import VLMFoundation

/// A small file, damaged in every way: it is either refused, or read without loss.
@Suite("Damaged containers")
struct DamageTests {
  let sample: Sample
  let bytes: [UInt8]

  init() throws {
    sample = try Sample()
    try sample.write(pieces: Array(Sample.pieces.suffix(3)))
    bytes = try sample.folder.read("sample.vlmz")
  }

  @Test("V65 V05 a flipped bit is found, wherever it is")
  func bitRot() throws {
    for at in bytes.indices {
      var damaged = bytes
      // Every bit of the header; elsewhere one bit per byte, in turn.
      for bit in at < 128 ? Array(0..<8) : [(at * 5 + at >> 3) % 8] {
        damaged[at] ^= 1 << bit
        #expect(try sample.defect(damaged) != nil, "bit \(bit) of byte \(at)")
        damaged[at] ^= 1 << bit
      }
    }
  }

  @Test("V01 V06 V07 a file cut off at any length is refused on opening")
  func truncated() throws {
    for length in bytes.indices {
      let path = try sample.folder.write("case.vlmz", Array(bytes[..<length]))
      let error = thrown("\(length) bytes") {
        try Container.open(path: path)
      }
      #expect(error?.rule == (length < 128 ? .r01 : .r08))
    }
  }

  @Test("V06 appended bytes are refused")
  func appended() throws {
    for count in [1, 64, 4096] {
      #expect(try sample.defect(bytes + [UInt8](repeating: 0, count: count))?.rule == .r08)
    }
  }

  @Test("random damage with repaired checksums is refused or harmless")
  func mutations() throws {
    let seed: UInt64 = 20_261_121
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var found = 0
    for _ in 0..<3000 {
      var damaged = bytes
      for _ in 0...Int(random.next() % 3) {
        let region = [0..<128, 4096..<bytes.count, bytes.count - 256..<bytes.count].randomElement(
          using: &random)
        let at = Int.random(in: region ?? 0..<128, using: &random)
        damaged[at] =
          [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &random)]
          .randomElement(using: &random) ?? 0
      }
      Self.repair(&damaged)
      guard let error = try sample.defect(damaged) else { continue }
      found += 1
      #expect(error.exitStatus == .badData)
    }
    #expect(found > 1000)
  }

  /// Corrects the checksums of header, table and index, so that the data they protect is read.
  private static func repair(_ bytes: inout [UInt8]) {
    func put(_ value: UInt64, at offset: Int) {
      withUnsafeBytes(of: value.littleEndian) {
        bytes.replaceSubrange(offset..<offset + 8, with: $0)
      }
    }
    func get(_ offset: Int) -> Int {
      bytes.withUnsafeBytes {
        Int(
          clamping: UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      }
    }
    let table = bytes.count - 4 * 64
    for entry in stride(from: table + 64, to: bytes.count, by: 64) {
      let (start, size) = (get(entry + 16), get(entry + 24))
      guard start <= bytes.count, size <= bytes.count - start else { continue }
      let hash = XXH64.hash(Array(bytes[start..<start + size]))
      put(hash, at: entry + 40)
      if bytes[entry + 8] == 0 { put(hash, at: entry + 48) }
    }
    var root = SHA256()
    Array("vlmz root 1\n".utf8).withUnsafeBytes { root.update($0) }
    for entry in stride(from: table, to: bytes.count, by: 64) {
      for range in [entry..<entry + 4, entry + 32..<entry + 40, entry + 48..<entry + 56] {
        Array(bytes[range]).withUnsafeBytes { root.update($0) }
      }
    }
    bytes.replaceSubrange(48..<80, with: root.digest)
    put(XXH64.hash(Array(bytes[table...])), at: 40)
    put(XXH64.hash(Array(bytes[..<120])), at: 120)
  }

  @Test("V16 verify lists every defect, not only the first")
  func everyDefect() throws {
    var damaged = bytes
    let container = try sample.open()
    let first = try #require(container.tensor(named: "norm"))
    let second = try #require(container.tensor(named: "dw"))
    let labels = try #require(container.sections.first { $0.kind == .labels })
    damaged[first.range.lowerBound] ^= 1
    damaged[first.range.upperBound] ^= 1
    damaged[second.range.upperBound - 1] ^= 0x80
    damaged[labels.range.lowerBound + 20] ^= 4
    let path = try sample.folder.write("case.vlmz", damaged)
    let defects = try Container.open(path: path).verify(strict: true)
    #expect(Set(defects.compactMap(\.rule)) == [.r25, .r49, .r50])
    #expect(
      defects.map(\.place).filter {
        [.tensor("norm"), .tensor("dw"), .section(3, "labels")].contains($0)
      }.count == 3)
  }

  @Test("V16 a damaged section is refused when it is read, the others are not")
  func lazySections() throws {
    var damaged = bytes
    let labels = try #require(try sample.open().sections.first { $0.kind == .labels })
    damaged[labels.range.upperBound - 1] ^= 1
    let container = try Container.open(path: sample.folder.write("case.vlmz", damaged))
    #expect(try container.section(.config) == Sample.config)
    let error = thrown { try container.section(.labels) }
    #expect(error?.rule == .r25)
  }

  @Test("V57 a file that changed while it was verified is reported as such")
  func changed() throws {
    let container = try sample.open()
    let handle = try #require(FileHandle(forWritingAtPath: container.path))
    try handle.seekToEnd()
    try handle.write(contentsOf: [0])
    try handle.close()
    let error = thrown { try container.verify(strict: false) }
    #expect(error?.exitStatus == .ioError)
  }
}
