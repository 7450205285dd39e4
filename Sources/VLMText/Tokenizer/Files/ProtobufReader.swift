/// Reads the fields of a protocol buffer message in order, and validates all lengths.
///
/// Supports what `tokenizer.model` needs: varints, 32 and 64-bit fields, and length-delimited
/// fields, which are returned as ranges to avoid copies. Groups are refused.
struct ProtobufReader {
  enum Value {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64(UInt64)
    /// Byte range in the reader's buffer.
    case bytes(Range<Int>)
  }

  struct Failure: Error {
    let offset: Int
    let problem: String
  }

  private let buffer: UnsafeRawBufferPointer
  private let end: Int
  private(set) var offset: Int

  /// Creates a reader for `range` of `buffer`, which the caller keeps alive.
  init(_ buffer: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.buffer = buffer
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next field; nil at the end of the message.
  mutating func next() throws(Failure) -> (number: Int, value: Value)? {
    guard offset < end else { return nil }
    let start = offset
    let key = try varint()
    let number = Int(key >> 3 & 0x1fff_ffff)
    guard key < 1 << 32, number > 0 else {
      throw Failure(offset: start, problem: "field key \(key)")
    }
    switch key & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(try fixed(UInt64.self)))
    case 2:
      let length = try varint()
      guard length <= UInt64(end - offset) else {
        throw Failure(offset: start, problem: "a field of \(length) bytes, \(end - offset) left")
      }
      let first = offset
      offset += Int(length)
      return (number, .bytes(first..<offset))
    case 5: return (number, .fixed32(try fixed(UInt32.self)))
    default: throw Failure(offset: start, problem: "wire type \(key & 7)")
    }
  }

  /// A varint of at most ten bytes; bits above the 64th are dropped, as in other readers.
  private mutating func varint() throws(Failure) -> UInt64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    let start = offset
    while offset < end, shift < 70 {
      let byte = buffer[offset]
      offset += 1
      if shift < 64 { result |= UInt64(byte & 0x7f) << shift }
      if byte < 0x80 { return result }
      shift += 7
    }
    throw Failure(offset: start, problem: "a number that does not end")
  }

  private mutating func fixed<T: FixedWidthInteger>(_ type: T.Type) throws(Failure) -> T {
    guard end - offset >= MemoryLayout<T>.size else {
      throw Failure(offset: offset, problem: "a field cut off")
    }
    defer { offset += MemoryLayout<T>.size }
    return T(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: T.self))
  }
}
