import Foundation
import Testing
import VLMTensor
import VLMTestSupport

@testable import VLMContainer

@Suite("Unfinished containers")
struct RecoveryTests {
  let folder: TemporaryFolder
  var path: String { folder.path("m.vlmz") }

  init() throws { folder = try TemporaryFolder() }

  private static let names = ["a", "b", "c"]
  private static let format = TensorFormat(scheme: .f32)

  private static func bytes(_ index: Int) -> [UInt8] {
    (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) }
  }

  private func write(_ writer: ContainerWriter, from first: Int) throws {
    for index in first..<3 {
      try writer.beginTensor(
        name: Self.names[index], format: Self.format, role: .vector, shape: [100])
      try writer.write(Self.bytes(index))
      try writer.endTensor()
    }
    try writer.add(section: .config, Array("{}".utf8))
    _ = try writer.finish()
  }

  /// The tensors that an earlier writer would have recorded.
  private static func written(_ count: Int) -> [ContainerWriter.WrittenTensor] {
    (0..<count).map { index in
      .init(
        name: names[index], format: format, role: .vector, shape: [100],
        checksum: XXH64.hash(bytes(index)))
    }
  }

  private func reference() throws -> [UInt8] {
    let writer = try ContainerWriter(path: folder.path("reference.vlmz"), overwrite: true)
    try write(writer, from: 0)
    return try folder.read("reference.vlmz")
  }

  @Test("a resumable writer makes the bytes that any other makes")
  func same() throws {
    let writer = try ContainerWriter(resumable: path, overwrite: false, keeping: false)
    try write(writer, from: 0)
    #expect(try folder.read("m.vlmz") == reference())
    #expect(try folder.names == ["m.vlmz", "reference.vlmz"])
  }

  @Test("as many tensors are taken over as are there and sound", arguments: 0...4)
  func recover(count: Int) throws {
    let reference = try reference()
    // The first page as the writer leaves it, then two tensors, the second damaged for count 3,
    // cut off for count 4.
    var partial = ContainerWriter.partialMarker
    partial += [UInt8](repeating: 0, count: Format.dataAlignment - partial.count)
    partial += reference[Format.dataAlignment..<Format.dataAlignment + 448 + 400]
    if count == 3 { partial[Format.dataAlignment + 500] ^= 1 }
    if count == 4 { partial.removeLast() }
    try folder.write("m.vlmz.partial", partial)
    let writer = try ContainerWriter(resumable: path, overwrite: false, keeping: true)
    let recovered = try writer.recover(Self.written(min(count, 3)))
    #expect(recovered == [0, 1, 2, 1, 1][count])
    try write(writer, from: recovered)
    #expect(try folder.read("m.vlmz") == reference)
  }

  @Test("padding that is not zero ends what is taken over")
  func padding() throws {
    let reference = try reference()
    var partial = ContainerWriter.partialMarker
    partial += [UInt8](repeating: 0, count: Format.dataAlignment - partial.count)
    partial += reference[Format.dataAlignment..<Format.dataAlignment + 448 + 400]
    partial[Format.dataAlignment + 410] = 1
    try folder.write("m.vlmz.partial", partial)
    let writer = try ContainerWriter(resumable: path, overwrite: false, keeping: true)
    #expect(try writer.recover(Self.written(2)) == 1)
    try write(writer, from: 1)
    #expect(try folder.read("m.vlmz") == reference)
  }

  @Test("a partial file is no container, and stays only when it is to be kept")
  func dropped() throws {
    for keeping in [false, true] {
      do {
        let writer = try ContainerWriter(resumable: path, overwrite: true, keeping: keeping)
        try writer.beginTensor(
          name: "a", format: Self.format, role: .vector, shape: [200_000])
        try writer.write([UInt8](repeating: 1, count: 800_000))
      }
      #expect(try folder.names == (keeping ? ["m.vlmz.partial"] : []))
    }
    #expect(throws: ContainerError.self) { try Container.open(path: path + ".partial") }
  }
}
