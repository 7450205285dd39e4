import Testing
import VLMContainer
import VLMFoundation
import VLMTensor

@Suite("Writing and reading containers")
struct RoundTripTests {
  let sample: Sample
  init() throws { sample = try Sample() }

  @Test("what was written is read, byte for byte")
  func roundTrip() throws {
    let summary = try sample.write()
    let container = try sample.open()
    #expect(container.rootHash == summary.rootHash)
    #expect(container.sections == summary.sections)
    #expect(container.file.count == summary.fileSize)
    #expect(summary.tensorCount == Sample.pieces.count)
    #expect(summary.tensorBytes == Sample.pieces.reduce(0) { $0 + $1.bytes.count })
    #expect(container.tensors.map(\.name) == Sample.pieces.map(\.name).sorted())
    for piece in Sample.pieces {
      let entry = try #require(container.tensor(named: piece.name))
      #expect(entry.format == piece.format)
      #expect(entry.role == piece.role)
      #expect(entry.shape == piece.shape)
      #expect(entry.range.lowerBound % 64 == 0)
      #expect(entry.checksum == XXH64.hash(piece.bytes))
      #expect(container.file.withBytes(entry.range) { Array($0) } == piece.bytes)
    }
    #expect(try container.section(.config) == Sample.config)
    #expect(try container.section(.labels) == Sample.labels)
    #expect(try container.section(.report) == nil)
    #expect(try container.verify(strict: false).isEmpty)
  }

  @Test("tensor data starts on a page, and every section at a multiple of 64")
  func alignment() throws {
    try sample.write()
    let sections = try sample.open().sections
    #expect(sections.first?.kind == .tensorData)
    #expect(sections.first?.offset == 4096)
    #expect(sections.allSatisfy { $0.offset % 64 == 0 })
  }

  @Test("small sections are stored raw, large ones as zstd")
  func codecs() throws {
    try sample.write()
    let sections = try sample.open().sections
    #expect(sections.first { $0.kind == .config }?.codec == .raw)
    let labels = try #require(sections.first { $0.kind == .labels })
    #expect(labels.codec == .zstd)
    #expect(labels.storedByteCount < labels.rawByteCount)
    #expect(labels.rawByteCount == Sample.labels.count)
  }

  @Test("the same calls give the same bytes, however tensors are cut and sections come")
  func deterministic() throws {
    try sample.write("a.vlmz")
    try sample.write("b.vlmz", chunk: 7)
    try sample.write("c.vlmz", labelsFirst: false)
    let first = try sample.folder.read("a.vlmz")
    #expect(try sample.folder.read("b.vlmz") == first)
    #expect(try sample.folder.read("c.vlmz") == first)
  }

  @Test("the root hash names the contents, compressed or not")
  func rootHash() throws {
    let compressed = try sample.write("a.vlmz")
    let raw = try sample.write("b.vlmz", compress: false)
    #expect(raw.fileSize > compressed.fileSize)
    #expect(raw.rootHash == compressed.rootHash)
    #expect(raw.sections.allSatisfy { $0.codec == .raw })
    let fewer = try sample.write("c.vlmz", pieces: Sample.pieces.dropLast())
    #expect(fewer.rootHash != compressed.rootHash)
  }

  @Test("tensors larger than the writer's buffer go straight through")
  func largeTensors() throws {
    let pieces = [
      Sample.Piece("b", TensorFormat(scheme: .f32), .vector, [200_001]),
      Sample.Piece("a", TensorFormat(scheme: .f32), .vector, [3]),
      Sample.Piece("c", TensorFormat(scheme: .f32), .vector, [70_000], seed: 9),
    ]
    try sample.write(pieces: pieces)
    let container = try sample.open()
    for piece in pieces {
      let range = try #require(container.tensor(named: piece.name)).range
      #expect(container.file.withBytes(range) { Array($0) } == piece.bytes)
    }
    #expect(try container.verify(strict: true).isEmpty)
  }

  @Test("progress rises to the size of the file")
  func progress() throws {
    try sample.write()
    let container = try sample.open()
    var calls: [Int] = []
    _ = try container.verify(strict: false) { done, total in
      #expect(total == container.file.count)
      calls.append(done)
    }
    #expect(calls == calls.sorted())
    #expect(calls.last == container.file.count)
  }

  @Test("a megabyte of JSON is compressed and read")
  func largeSection() throws {
    let writer = try ContainerWriter(path: sample.folder.path("x.vlmz"), overwrite: false)
    var random = SplitMix64(seed: 7)
    let bytes = (0..<1 << 20).map { _ in UInt8(97 + random.next() % 8) }
    try writer.add(section: .config, bytes)
    try writer.beginTensor(name: "t", format: .init(scheme: .f32), role: .vector, shape: [1])
    try writer.write([0, 0, 0, 0])
    try writer.endTensor()
    let summary = try writer.finish()
    #expect(summary.sections.last?.codec == .zstd)
    #expect(try sample.open("x.vlmz").section(.config) == bytes)
  }

  @Test("only a file with an embedding asks for version 2 of its readers")
  func versionOfRoles() throws {
    for (role, version) in [(TensorRole.head, 1), (.embedding, 2)] {
      let name = "v\(version).vlmz"
      let writer = try ContainerWriter(path: sample.folder.path(name), overwrite: false)
      try writer.add(section: .config, Sample.config)
      try writer.beginTensor(name: "t", format: .init(scheme: .f32), role: role, shape: [1, 1])
      try writer.write([0, 0, 0, 0])
      try writer.endTensor()
      _ = try writer.finish()
      #expect(try sample.folder.read(name)[8] == UInt8(version))
      #expect(try sample.open(name).tensors.first?.role == role)
    }
  }
}
