/// Reads little-endian fields in order and knows where it is when something is missing.
package struct ByteReader {
  package struct Truncated: Error, Equatable, Sendable {
    package let field: String
    package let offset: Int
    package let needed: Int
    package let available: Int

    package init(field: String, offset: Int, needed: Int, available: Int) {
      self.field = field
      self.offset = offset
      self.needed = needed
      self.available = available
    }
  }

  private let bytes: UnsafeRawBufferPointer
  package private(set) var offset = 0

  /// The caller keeps `bytes` alive for the reader's life.
  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var remaining: Int { bytes.count - offset }

  package mutating func read<T: FixedWidthInteger>(
    _ field: StaticString, as: T.Type = T.self
  ) throws(Truncated) -> T {
    let start = try advance(field, by: MemoryLayout<T>.size)
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: T.self))
  }

  package mutating func readBytes(_ field: StaticString, count: Int) throws(Truncated) -> [UInt8] {
    let start = try advance(field, by: count)
    return Array(bytes[start..<start + count])
  }

  private mutating func advance(_ field: StaticString, by needed: Int) throws(Truncated) -> Int {
    guard needed >= 0, needed <= remaining else {
      throw Truncated(field: "\(field)", offset: offset, needed: needed, available: remaining)
    }
    defer { offset += needed }
    return offset
  }
}
