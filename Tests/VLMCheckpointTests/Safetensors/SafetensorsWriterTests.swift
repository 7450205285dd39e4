import Testing
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

@Suite("Writing tensors")
struct SafetensorsWriterTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("the bytes of a safetensors file are these, in whatever order the tensors come")
  func golden() throws {
    let tensors: [SafetensorsWriter.Entry] = [
      .init(name: "b", dtype: .u8, shape: [3], bytes: [7, 8, 9]),
      .init(name: "a", shape: [1], floats: [1]), .init(name: "c", shape: [], floats: [2]),
    ]
    let header =
      #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
      + #""c":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"#
      + #""b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#
    let padding = (8 - header.utf8.count % 8) % 8
    let expected = Composer.bytes(
      header + String(repeating: " ", count: padding),
      data: [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 7, 8, 9])
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
      try SafetensorsWriter.write(
        path: folder.path("out"), overwrite: true, metadata: [("format", "pt")],
        tensors: order.map { tensors[$0] })
      #expect(try folder.read("out") == expected)
    }
  }

  @Test("a file written from a catalog has the same tensors, of any size")
  func copy() throws {
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try SafetensorsWriter.write(
      path: folder.path("a"), overwrite: false,
      tensors: [
        .init(name: "big", dtype: .i16, shape: [1_500_000], bytes: bytes),
        .init(name: "none", dtype: .f64, shape: [0, 5], bytes: []),
        .init(name: "\u{e9}\"\\", dtype: .bool, shape: [1], bytes: [1]),
      ])
    let first = try SafetensorsFile.read(path: folder.path("a"))
    try SafetensorsWriter.write(
      path: folder.path("b"), overwrite: false, tensors: first.tensors.map { .init($0) })
    #expect(try folder.read("a") == folder.read("b"))
    let read = first["big"]?.withBytes { Array($0) }
    #expect(read == bytes)
    #expect(first["\u{e9}\"\\"]?.dtype == .bool)
  }

  @Test("a name or metadata key given twice is refused, and nothing is written")
  func duplicates() throws {
    let entry = SafetensorsWriter.Entry(name: "t", shape: [1], floats: [1])
    let path = folder.path("out")
    #expect(throws: CheckpointError(path: path, place: "t", problem: .duplicateName)) {
      try SafetensorsWriter.write(path: path, overwrite: false, tensors: [entry, entry])
    }
    #expect(
      throws: CheckpointError(path: path, place: "__metadata__", problem: .duplicateMetadata("k"))
    ) {
      try SafetensorsWriter.write(
        path: path, overwrite: false, metadata: [("k", "1"), ("k", "2")], tensors: [entry])
    }
    #expect(try folder.names.isEmpty)
  }

  @Test("a provider's error leaves no file")
  func failing() throws {
    let failure = CheckpointError(path: "source", problem: .empty)
    let entry = SafetensorsWriter.Entry(name: "t", dtype: .u8, shape: [1]) {
      (_, _) throws(CheckpointError) in throw failure
    }
    #expect(throws: failure) {
      try SafetensorsWriter.write(path: folder.path("out"), overwrite: false, tensors: [entry])
    }
    #expect(try folder.names.isEmpty)
  }

  @Test("the bytes of a .npy file are those that NumPy writes")
  func numpy() throws {
    for (shape, text) in [([2, 1], "(2, 1)"), ([2], "(2,)"), ([], "()")] {
      let values = [Float](repeating: 1, count: shape.reduce(1, *))
      try NumpyFile.write(path: folder.path("out"), overwrite: true, shape: shape, values: values)
      let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': \(text), }"
      let padding = String(repeating: " ", count: 117 - dictionary.utf8.count) + "\n"
      let header =
        [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array((dictionary + padding).utf8)
      #expect(try folder.read("out") == header + values.flatMap { _ in [0, 0, 0x80, 0x3f] })
    }
  }
}
