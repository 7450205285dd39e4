import Testing
import VLMContainer
import VLMTensor

@Suite("Container writer")
struct WriterTests {
  let sample: Sample
  init() throws { sample = try Sample() }

  private func rule(_ body: (ContainerWriter) throws -> Void) throws -> Rule? {
    let writer = try ContainerWriter(path: sample.folder.path("w.vlmz"), overwrite: true)
    let error = thrown { try body(writer) }
    return error?.rule
  }

  private let vector = TensorFormat(scheme: .f32)

  @Test("a tensor with too few or too many bytes is refused, naming both counts")
  func miscounted() throws {
    #expect(
      try rule { writer in
        try writer.beginTensor(name: "t", format: vector, role: .vector, shape: [2])
        try writer.write([1, 2, 3])
        try writer.endTensor()
      } == .r45)
    #expect(
      try rule { writer in
        try writer.beginTensor(name: "t", format: vector, role: .vector, shape: [2])
        try writer.write([UInt8](repeating: 0, count: 9))
      } == .r45)
  }

  @Test("V29 a name that is empty, long, has control characters or occurred is refused")
  func names() throws {
    func begin(_ names: String...) throws -> Rule? {
      try rule { writer in
        for name in names {
          try writer.beginTensor(name: name, format: vector, role: .vector, shape: [1])
          try writer.write([0, 0, 0, 0])
          try writer.endTensor()
        }
      }
    }
    #expect(try begin("") == .r36)
    #expect(try begin(String(repeating: "n", count: 513)) == .r36)
    #expect(try begin("a\nb") == .r37)
    #expect(try begin("a\u{7f}") == .r37)
    #expect(try begin("t", "t") == .r39)
    #expect(try begin("gr\u{f6}\u{df}e", "gro\u{308}\u{df}e") == .r39)
  }

  @Test("a shape that the format cannot hold is refused")
  func shapes() throws {
    func begin(_ format: TensorFormat, _ shape: [Int]) throws -> Rule? {
      try rule { try $0.beginTensor(name: "t", format: format, role: .matrix, shape: shape) }
    }
    #expect(try begin(vector, [1, 0]) == .r42)
    #expect(try begin(vector, [-1]) == .r42)
    #expect(try begin(vector, [Int](repeating: 1, count: 9)) == .r41)
    #expect(try begin(vector, [Int.max, 2]) == .r44)
    #expect(try begin(TensorFormat(scheme: .q4), [2, 32]) == .r44)
  }

  @Test("a container without tensors or config is refused, and so is a section twice or empty")
  func incomplete() throws {
    #expect(
      try rule { writer in
        try writer.add(section: .config, Sample.config)
        _ = try writer.finish()
      } == .r33)
    #expect(
      try rule { writer in
        try writer.beginTensor(name: "t", format: vector, role: .vector, shape: [1])
        try writer.write([0, 0, 0, 0])
        try writer.endTensor()
        _ = try writer.finish()
      } == .r23)
    #expect(
      try rule { writer in
        try writer.add(section: .labels, [1])
        try writer.add(section: .labels, [1])
      } == .r12)
    #expect(try rule { try $0.add(section: .labels, []) } == .r22)
  }

  @Test("V60 a writer that is dropped leaves nothing behind")
  func dropped() throws {
    do {
      let writer = try ContainerWriter(path: sample.folder.path("d.vlmz"), overwrite: false)
      try writer.beginTensor(name: "t", format: vector, role: .vector, shape: [1 << 18])
      try writer.write([UInt8](repeating: 1, count: 1 << 20))
      #expect(try sample.folder.names.count == 1)
    }
    #expect(try sample.folder.names.isEmpty)
  }

  @Test("V58 an existing file stays unless told otherwise, and then until the new one is whole")
  func existing() throws {
    try sample.write("e.vlmz", pieces: [Sample.pieces[3]])
    let old = try sample.folder.read("e.vlmz")
    let error = thrown {
      try ContainerWriter(path: sample.folder.path("e.vlmz"), overwrite: false)
    }
    #expect(error?.exitStatus == .cannotCreate)
    let opened = try sample.open("e.vlmz")
    do {
      let writer = try ContainerWriter(path: sample.folder.path("e.vlmz"), overwrite: true)
      try writer.beginTensor(name: "t", format: vector, role: .vector, shape: [1])
    }
    #expect(try sample.folder.read("e.vlmz") == old)
    try sample.write("e.vlmz", overwrite: true)
    #expect(try sample.folder.read("e.vlmz") != old)
    // Mappings of the old file stay valid.
    #expect(opened.file.withBytes(0..<opened.file.count) { Array($0) } == old)
    #expect(try sample.folder.names == ["e.vlmz"])
  }

  @Test("V58 a folder as the output is refused")
  func folder() throws {
    let error = thrown {
      try ContainerWriter(path: sample.folder.url.path, overwrite: true)
    }
    #expect(error?.rule == nil)
    #expect(error?.description.contains("directory") == true)
  }
}
