import Testing
import VLMFoundation

@Suite("Byte reader")
struct ByteReaderTests {
  @Test("fields are read in order, little-endian, at any alignment")
  func fields() throws {
    let bytes: [UInt8] = [1, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff, 9, 8]
    try bytes.withUnsafeBytes { (buffer) throws in
      var reader = ByteReader(buffer)
      #expect(try reader.read("a", as: UInt8.self) == 1)
      #expect(try reader.read("b", as: UInt16.self) == 0x1234)
      #expect(try reader.read("c", as: Int32.self) == -1)
      #expect(try reader.readBytes("d", count: 2) == [9, 8])
      #expect(reader.remaining == 0)
    }
  }

  @Test("a missing field is named with where it was, what it needs and what there is")
  func truncated() {
    let bytes: [UInt8] = [1, 2, 3]
    bytes.withUnsafeBytes { buffer in
      var reader = ByteReader(buffer)
      #expect(throws: ByteReader.Truncated(field: "n", offset: 0, needed: 4, available: 3)) {
        try reader.read("n", as: UInt32.self)
      }
      #expect(throws: ByteReader.Truncated(field: "m", offset: 0, needed: -1, available: 3)) {
        try reader.readBytes("m", count: -1)
      }
      #expect(throws: ByteReader.Truncated(field: "k", offset: 0, needed: .max, available: 3)) {
        try reader.readBytes("k", count: .max)
      }
      #expect(reader.remaining == 3)
    }
    var empty = ByteReader(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(throws: ByteReader.Truncated.self) { try empty.read("x", as: UInt8.self) }
  }
}
