import Testing
import VLMContainer
import VLMTensor
import VLMTestSupport

@Suite("Golden containers")
struct AcceptTests {
  @Test("every golden file is accepted, strictly", arguments: Golden.files("accept"))
  func accepted(path: String) throws {
    let found = try Golden.firstDefect(path)
    #expect(found.stage == .never, "\(found.error?.description ?? "")")
  }

  private func open(_ name: String) throws -> Container {
    try Container.open(path: Golden.formats.appendingPathComponent("accept/\(name).vlmz").path)
  }

  @Test("tensors are sorted, found by name, and lie where the index says")
  func twoTensors() throws {
    let container = try open("A02-two-tensors")
    #expect(container.tensors.map(\.name) == ["bias", "weight"])
    let weight = try #require(container.tensor(named: "weight"))
    #expect(weight.shape == [2, 3])
    #expect(weight.format == TensorFormat(scheme: .f32))
    #expect(weight.role == .matrix)
    #expect(weight.range == 4096..<4120)
    let values = container.file.withBytes(weight.range) { Array($0.bindMemory(to: Float.self)) }
    #expect(values == [1, 2, 3, 4, 5, 6])
    #expect(container.tensor(named: "none") == nil)
    #expect(try container.section(.config) == Array("{}".utf8))
    #expect(try container.section(.labels) == nil)
  }

  @Test("V15 an unknown optional section is skipped, listed and verified")
  func unknownSections() throws {
    let container = try open("A04-unknown-optional-sections")
    #expect(container.sections.map { "\($0.kind)" }.suffix(2) == ["kind 11", "kind 77"])
    #expect(container.sections.last?.codec == nil)
    #expect(try container.verify(strict: true).isEmpty)
  }

  @Test("sections of unknown kinds are taken over as they are into another container")
  func carried() throws {
    let folder = try TemporaryFolder()
    let container = try open("A04-unknown-optional-sections")
    let writer = try ContainerWriter(path: folder.path("w.vlmz"), overwrite: false)
    try writer.beginTensor(
      name: "t", format: TensorFormat(scheme: .f32), role: .vector, shape: [1])
    try writer.write([0, 0, 0, 0])
    try writer.endTensor()
    try writer.add(section: .config, Array("{}".utf8))
    writer.add(unknownSectionsOf: container)
    _ = try writer.finish()
    let copy = try Container.open(path: folder.path("w.vlmz"))
    #expect(try copy.verify(strict: true) == [])
    #expect(copy.sections.map { "\($0.kind)" }.suffix(2) == ["kind 11", "kind 77"])
    for (a, b) in zip(copy.sections.suffix(2), container.sections.suffix(2)) {
      #expect(a.flags == b.flags && a.codecCode == b.codecCode)
      #expect(a.rawByteCount == b.rawByteCount && a.rawHash == b.rawHash)
      #expect(
        copy.file.withBytes(a.range) { Array($0) }
          == container.file.withBytes(b.range) { Array($0) })
    }
  }

  @Test("V31 a scalar of rank 0 is a tensor")
  func scalar() throws {
    let tensor = try #require(try open("A01-one-scalar").tensors.first)
    #expect(tensor.shape.isEmpty)
    #expect(tensor.range.count == 4)
  }

  @Test("V03 a newer writer and unknown optional features are no obstacle")
  func newerWriter() throws {
    let newer = try open("A08-newer-writer")
    #expect(newer.tensors.count == 2)
    let older = try open("A02-two-tensors")
    #expect(newer.rootHash == older.rootHash)
  }

  @Test("a frame from another library decodes")
  func compressed() throws {
    let container = try open("A07-compressed-with-checksum")
    let config = try #require(try container.section(.config))
    #expect(config.count == 705)
    #expect(config.starts(with: #"{"layers": [{"name": "stages.0.blocks.0""#.utf8))
    #expect(try open("A09-run-length-and-window").section(.config)?.count == 5000)
  }

  @Test("V66 names with control characters for terminals are escaped when shown")
  func escaped() throws {
    let container = try open("A06-names")
    let name = try #require(container.tensors.first { $0.name.contains("abc") }).name
    let error = ContainerError(
      path: "m.vlmz", place: .tensor(name), problem: .broken(.r49, "is not zero"))
    #expect(error.description == #"m.vlmz: tensor '\u{202e}abc': is not zero [R49]"#)
  }
}
