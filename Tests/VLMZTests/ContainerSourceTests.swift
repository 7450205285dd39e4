import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Containers as what is converted.
@Suite("Containers as sources")
struct ContainerSourceTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @discardableResult
  private func convert(
    _ source: String, _ name: String, _ scheme: Scheme,
    overrides: [QuantizationPolicy.Override] = []
  ) throws -> (container: Container, notes: [Note]) {
    let conversion = try Conversion(
      source: try SourceModel.open(path: source),
      policy: QuantizationPolicy(scheme: scheme, overrides: overrides), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: folder.path(name), overwrite: true) { _, _, _ in }
    return (try Container.open(path: folder.path(name)), conversion.notes)
  }

  /// Everything but what is known of their origin and errors.
  private func expectSame(_ found: Container, _ wanted: Container, _ what: String) throws {
    try #require(found.tensors.map(\.name) == wanted.tensors.map(\.name))
    for (a, b) in zip(found.tensors, wanted.tensors) {
      #expect(a.format == b.format)
      #expect(a.role == b.role)
      #expect(a.shape == b.shape)
      #expect(a.checksum == b.checksum, "\(what): \(a.name)")
    }
    #expect(found.sections.map(\.kind) == wanted.sections.map(\.kind))
    for kind in found.sections.map(\.kind)
    where ![.tensorData, .tensorIndex, .provenance, .report].contains(kind) {
      #expect(try found.section(kind) == wanted.section(kind), "\(what): \(kind)")
    }
  }

  /// The first element of an array in a provenance.
  private func first(_ json: JSONValue?) -> JSONValue? { json?.arrayValue?.first }

  private func provenance(_ container: Container) throws -> JSONValue {
    try JSONValue.parse(try #require(try container.section(.provenance)))
  }

  /// A checkpoint of each family, and whether its numbers are f16.
  static let sources = [
    ("convnext-cifar10", true), ("goldens/convnextv2/timm", false), ("stories260K", false),
    ("upstream/clip-model", true), ("upstream/open-clip-quick", true), ("upstream/llava", true),
    ("upstream/torchvision.pth", true), ("llava-gguf/quantized", false),
    ("goldens/convllava-trained/hf-A-safetensors", false),
  ]

  @Test("full and half precision give what the checkpoint gives, byte for byte", arguments: sources)
  func exact(path: String, isHalf: Bool) throws {
    let checkpoint = TestFiles.fixture(path)
    for base in isHalf ? [Scheme.f32, .f16] : [.f32] {
      let (between, _) = try convert(checkpoint, "between.vlmz", base)
      for scheme in Scheme.allCases {
        let (wanted, _) = try convert(checkpoint, "wanted.vlmz", scheme)
        let (found, notes) = try convert(between.path, "found.vlmz", scheme)
        try expectSame(found, wanted, "\(path): \(base.name) to \(scheme.name)")
        #expect(notes == [])
        let (origin, result) = (try provenance(wanted), try provenance(found))
        #expect(result["names"] == origin["names"])
        #expect(result["naming"] == origin["naming"])
        #expect(first(result["files"])?["name"] == "between.vlmz")
        #expect(first(result["made_from"])?["files"] == origin["files"])
        #expect(first(result["made_from"])?["scheme"]?.stringValue == base.name)
      }
    }
  }

  @Test(
    "what is stored as it is wanted is taken over as it is",
    arguments: [Scheme.q8, .q4, .q3, .q5, .q6])
  func same(scheme: Scheme) throws {
    for (path, _) in Self.sources {
      let (between, _) = try convert(TestFiles.fixture(path), "between.vlmz", scheme)
      let (found, notes) = try convert(between.path, "found.vlmz", scheme)
      try expectSame(found, between, path)
      #expect(notes == [])
      let defects = try found.verify(strict: true)
      #expect(defects == [])
    }
  }

  @Test("what was rounded before and is rounded again is said, with how often")
  func rounded() throws {
    let path = TestFiles.fixture("convnext-cifar10")
    let (between, _) = try convert(path, "between.vlmz", .q8)
    let (found, notes) = try convert(between.path, "found.vlmz", .q4)
    #expect(notes.count == 1)
    #expect(
      notes.first?.hasPrefix("rounded before: 16 tensors from q8 to q4 (some 1 % more") == true)
    for (tensor, before) in zip(found.tensors, between.tensors) where tensor.format == before.format
    {
      #expect(tensor.checksum == before.checksum, "\(tensor.name)")
    }
    let (_, larger) = try convert(between.path, "larger.vlmz", .f16)
    #expect(
      larger.first?.hasPrefix(
        "rounded before: 20 tensors from q8 to f16 (no more exact than q8 is)")
        == true)
    let pattern = QuantizationPolicy.Override(pattern: "stages.0.*", scheme: .f16)
    let (mixed, _) = try convert(path, "mixed.vlmz", .q8, overrides: [pattern])
    #expect(mixed.tensors.contains { $0.format.scheme == .f16 })
    let (again, none) = try convert(mixed.path, "again.vlmz", .q8, overrides: [pattern])
    try expectSame(again, mixed, "a pattern")
    #expect(none == [])
  }

  @Test("each conversion is kept in the list of those before it")
  func chain() throws {
    var path = TestFiles.fixture("convnext-cifar10")
    for (name, scheme) in [("a.vlmz", Scheme.f32), ("b.vlmz", .f16), ("c.vlmz", .q8)] {
      path = try convert(path, name, scheme).container.path
    }
    let origin = try provenance(try Container.open(path: path))
    #expect(first(origin["files"])?["name"] == "b.vlmz")
    let before = try #require(origin["made_from"]?.arrayValue)
    #expect(before.count == 2)
    #expect(before[0]["scheme"] == "f16")
    #expect(first(before[0]["files"])?["name"] == "a.vlmz")
    #expect(before[1]["scheme"] == "f32")
    #expect(first(before[1]["files"])?["name"] == "model.safetensors")
    #expect(before.allSatisfy { $0["names"] == nil && $0["made_from"] == nil })
    #expect(origin["names"]?.objectValue?.members.isEmpty == false)
  }

  @Test("a tensor whose bytes are damaged ends the conversion with its name")
  func damaged() throws {
    let (container, _) = try convert(TestFiles.fixture("convnext-cifar10"), "model.vlmz", .q8)
    for entry in [container.tensors[0], container.tensors[container.tensors.count / 2]] {
      var bytes = try folder.read("model.vlmz")
      bytes[entry.range.lowerBound] ^= 1
      let path = try folder.write("damaged.vlmz", bytes)
      for scheme in [Scheme.q8, .q4] {
        let error = thrownError(ContainerError.self) { try convert(path, "x.vlmz", scheme) }
        #expect(error?.place == .tensor(entry.name))
        #expect(error?.rule == .r50)
      }
    }
    #expect(try !folder.names.contains { $0.hasPrefix("x.vlmz") })
  }

  @Test("a container that lacks a tensor of its model, or says nothing of it, is refused")
  func incomplete() throws {
    let path = TestFiles.root.appendingPathComponent("formats/golden/accept").path
    for name in ["A01-one-scalar", "A03-every-section"] {
      let source = Result { try SourceModel.open(path: "\(path)/\(name).vlmz") }
      #expect(throws: (any Error).self) { try source.get() }
    }
    let (whole, _) = try convert(TestFiles.fixture("upstream/clip"), "whole.vlmz", .f32)
    let writer = try ContainerWriter(path: folder.path("part.vlmz"), overwrite: true)
    for entry in whole.tensors.dropFirst() {
      try writer.beginTensor(
        name: entry.name, format: entry.format, role: entry.role, shape: entry.shape)
      try writer.write(whole.file.withBytes(entry.range) { Array($0) })
      try writer.endTensor()
    }
    for kind in [SectionKind.config, .preprocess] {
      try writer.add(section: kind, try #require(try whole.section(kind)))
    }
    _ = try writer.finish()
    #expect(
      thrownError(ConversionError.self) { try SourceModel.open(path: folder.path("part.vlmz")) }
        == ConversionError(path: folder.path("part.vlmz"), .missing([whole.tensors[0].name])))
  }
}
