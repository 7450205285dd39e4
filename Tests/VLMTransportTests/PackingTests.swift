import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMTransport

@Suite("Packing")
struct PackingTests {
  let sample: PackedSample

  init() throws { sample = try PackedSample() }

  @Test("every golden container comes back byte for byte, with its root hash stated first")
  func goldens() throws {
    let files = try Golden.files("accept")
    for file in files {
      let packed = try sample.pack(file, "x.vlmzp")
      let path = sample.folder.path("x.vlmzp")
      let summary = try sample.unpack(
        PackedInput(path: path), to: "back.vlmz", overwrite: true)
      let original = try Array(Data(contentsOf: URL(fileURLWithPath: file)))
      #expect(try sample.folder.read("back.vlmz") == original, "\(file)")
      #expect(summary.header.rootHash == packed.rootHash)
      #expect(try Array(sample.folder.read("x.vlmzp")[24..<56]) == packed.rootHash)
      #expect(try PackedSummary(path: path).packedSize == packed.packedSize)
    }
    #expect(files.count >= 14)
  }

  @Test("a container of several frames comes back, and packs to the same bytes on any threads")
  func several() throws {
    try sample.write()
    let path = sample.folder.path("model.vlmz")
    let summary = try sample.pack(path, "a.vlmzp", threads: 1)
    try sample.pack(path, "b.vlmzp", threads: 4)
    let packed = try sample.folder.read("a.vlmzp")
    #expect(packed == (try sample.folder.read("b.vlmzp")))
    #expect(summary.frameCount >= 8)
    #expect(summary.packedSize == packed.count)
    #expect(summary.packedSize < summary.containerSize)
    let unpacked = try sample.unpack(packed, to: "back.vlmz")
    #expect(try sample.folder.read("back.vlmz") == (try sample.folder.read("model.vlmz")))
    #expect(unpacked.frameCount == summary.frameCount)
    #expect(unpacked.packedSize == packed.count)
    #expect(try sample.folder.names == ["a.vlmzp", "b.vlmzp", "back.vlmz", "model.vlmz"])
  }

  @Test("the frames of a plan are the container from its first byte to its last")
  func plan() throws {
    try sample.write()
    for file in try Golden.files("accept") + [sample.folder.path("model.vlmz")] {
      let container = try Container.open(path: file)
      var end = 0
      for piece in PackingPlan(container).pieces {
        #expect(piece.range.lowerBound == end)
        #expect((1...PackedFormat.maximumFrameSize).contains(piece.range.count))
        if case .panels(let size, _, _) = piece.filter { #expect(piece.range.count % size == 0) }
        end = piece.range.upperBound
      }
      #expect(end == container.file.count)
    }
  }

  @Test("panels are cut into codes, groups and tail as their scheme lays them out")
  func geometry() throws {
    try sample.write()
    let container = try Container.open(path: sample.folder.path("model.vlmz"))
    let filters = Set(PackingPlan(container).pieces.map(\.filter))
    // 70 inputs are three blocks, 96 are three, 32 are one.
    #expect(filters.contains(.panels(size: 1664, codes: 1536, groups: 0)))
    #expect(filters.contains(.panels(size: 1024, codes: 768, groups: 96)))
    #expect(filters.contains(.panels(size: 512, codes: 320, groups: 32)))
    #expect(filters.contains(.planes(width: 4, turned: true)))
    #expect(filters.contains(.planes(width: 2, turned: true)))
  }

  @Test("a damaged container is refused before it is packed, and nothing is written")
  func damaged() throws {
    try sample.write()
    var bytes = try sample.folder.read("model.vlmz")
    bytes[100_000] ^= 1
    try sample.folder.write("model.vlmz", bytes)
    let error = transportError {
      try sample.pack(sample.folder.path("model.vlmz"), "x.vlmzp")
    }
    guard case .source(let defect)? = error?.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(defect.rule == .r50)
    #expect(try sample.folder.names == ["model.vlmz"])
  }
}

@Suite("Filters")
struct FilterTests {
  private static let filters: [ByteFilter] = [
    .none, .planes(width: 2, turned: false), .planes(width: 2, turned: true),
    .planes(width: 4, turned: false), .planes(width: 4, turned: true),
    .panels(size: 1, codes: 0, groups: 0),
  ]

  private static func moved(_ bytes: [UInt8], _ filter: ByteFilter, back: Bool) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: bytes.count)
    bytes.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        if back { filter.undo(source, to: target) } else { filter.apply(source, to: target) }
      }
    }
    return result
  }

  @Test("a filter of any fields and lengths is undone")
  func inverse() {
    let planes = Self.filters.dropLast()
    for count in [0, 1, 2, 3, 4, 5, 7, 8, 31, 64, 1000, 4099] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ $0 >> 8) }
      for filter in planes {
        let filtered = Self.moved(bytes, filter, back: false)
        #expect(Self.moved(filtered, filter, back: true) == bytes, "\(filter), \(count)")
        #expect(filtered.sorted() == bytes.sorted() || filter != .none, "\(filter)")
      }
    }
    for (size, codes, groups, count) in [
      (128, 0, 0, 3), (129, 1, 0, 5), (320, 128, 64, 1), (512, 256, 96, 4), (200, 8, 32, 7),
    ] {
      let bytes = (0..<size * count).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ $0 >> 8) }
      let filter = ByteFilter.panels(size: size, codes: codes, groups: groups)
      let filtered = Self.moved(bytes, filter, back: false)
      #expect(filtered.sorted() == bytes.sorted())
      #expect(Self.moved(filtered, filter, back: true) == bytes, "\(filter)")
    }
  }

  @Test("turned planes hold the exponents of numbers, and their signs at the bottom")
  func turned() {
    let values: [Float] = [1, -1, 0.5, -2]
    let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern) { Array($0) } }
    let filtered = Self.moved(bytes, .planes(width: 4, turned: true), back: false)
    #expect(Array(filtered[12...]) == [127, 127, 126, 128])
    #expect(Array(filtered[..<4]) == [0, 1, 0, 1])
  }
}
