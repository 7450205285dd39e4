import VLMFoundation

/// Reads GGUF's numbers, strings and values in order. No length is trusted for an allocation before
/// the remaining bytes confirm it.
struct GGUFReader {
  private let bytes: UnsafeRawBufferPointer
  private let source: MappedFile
  /// File offset of `bytes`.
  private let base: Int
  private var position = 0
  /// The key or tensor being read, for error messages.
  var place = ""

  /// Reads `bytes`, which begin at offset `base` of `source`. The caller keeps them alive.
  init(_ bytes: UnsafeRawBufferPointer, source: MappedFile, base: Int) {
    self.bytes = bytes
    self.source = source
    self.base = base
  }

  /// File offset of the next byte.
  var offset: Int { base + position }
  var remaining: Int { bytes.count - position }
  var path: String { source.path }

  func failure(_ problem: GGUFProblem) -> CheckpointError {
    CheckpointError(path: source.path, place: place, problem: .gguf(problem))
  }

  mutating func number<T: FixedWidthInteger>(
    _ field: StaticString, as: T.Type = T.self
  ) throws(CheckpointError) -> T {
    let start = try advance(field, by: UInt64(MemoryLayout<T>.size))
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: T.self))
  }

  /// A string of at most `limit` bytes: its length, then UTF-8.
  mutating func string(
    _ field: StaticString, limit: Int = GGUFFile.maximumStringBytes
  ) throws(CheckpointError) -> String {
    let length = try number(field, as: UInt64.self)
    guard length <= UInt64(limit) else {
      throw failure(.countBeyondLimit(of: "bytes of \(field)", found: length, limit: limit))
    }
    let start = try advance(field, by: length)
    let text = UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(length)])
    guard let string = String(validating: text.bindMemory(to: UInt8.self), as: UTF8.self) else {
      throw failure(.invalidUTF8("\(field)"))
    }
    return string
  }

  /// A count, at most `limit`.
  mutating func count(
    of things: StaticString, limit: Int
  ) throws(CheckpointError) -> Int {
    let found = try number(things, as: UInt64.self)
    guard found <= UInt64(limit) else {
      throw failure(.countBeyondLimit(of: "\(things)", found: found, limit: limit))
    }
    return Int(found)
  }

  /// Checks that `count` items of at least `minimumBytes` each fit into the remaining bytes.
  func requireRoom(
    for count: Int, _ things: StaticString, minimumBytes: Int
  ) throws(CheckpointError) {
    guard count <= remaining / minimumBytes else {
      throw failure(
        .countBeyondFile(of: "\(things)", found: UInt64(count), available: remaining))
    }
  }

  mutating func valueType() throws(CheckpointError) -> GGUFValueType {
    let number = try number("a value's type", as: UInt32.self)
    guard let type = GGUFValueType(rawValue: number) else {
      throw failure(.unknownValueType(number))
    }
    return type
  }

  /// - Parameter depth: the number of arrays that enclose the value.
  mutating func value(
    of type: GGUFValueType, depth: Int
  ) throws(CheckpointError) -> GGUFValue {
    switch type {
    case .uint8: return .unsigned(UInt64(try number("a value", as: UInt8.self)))
    case .uint16: return .unsigned(UInt64(try number("a value", as: UInt16.self)))
    case .uint32: return .unsigned(UInt64(try number("a value", as: UInt32.self)))
    case .uint64: return .unsigned(try number("a value"))
    case .int8: return .signed(Int64(try number("a value", as: Int8.self)))
    case .int16: return .signed(Int64(try number("a value", as: Int16.self)))
    case .int32: return .signed(Int64(try number("a value", as: Int32.self)))
    case .int64: return .signed(try number("a value"))
    case .float32: return .float32(Float(bitPattern: try number("a value")))
    case .float64: return .float64(Double(bitPattern: try number("a value")))
    case .bool: return .bool(try boolean())
    case .string: return .string(try string("a string"))
    case .array: return .array(try array(depth: depth))
    }
  }

  private mutating func boolean() throws(CheckpointError) -> Bool {
    let byte = try number("a boolean", as: UInt8.self)
    guard byte <= 1 else { throw failure(.boolean(byte)) }
    return byte == 1
  }

  private mutating func array(depth: Int) throws(CheckpointError) -> GGUFArray {
    guard depth < GGUFFile.maximumDepth else {
      throw failure(.nestedTooDeep(limit: GGUFFile.maximumDepth))
    }
    let type = try valueType()
    let count = try count(of: "array elements", limit: GGUFFile.maximumArrayCount)
    try requireRoom(for: count, "array elements", minimumBytes: type.minimumBytes)
    let start = position
    switch type {
    case .bool: for _ in 0..<count { _ = try boolean() }
    case .string: for _ in 0..<count { _ = try string("a string") }
    case .array: for _ in 0..<count { _ = try array(depth: depth + 1) }
    default: _ = try advance("array elements", by: UInt64(count * type.minimumBytes))
    }
    return GGUFArray(
      type: type, count: count, source: source, range: base + start..<base + position)
  }

  /// Advances by `needed` bytes and returns their offset in `bytes`.
  private mutating func advance(
    _ field: StaticString, by needed: UInt64
  ) throws(CheckpointError) -> Int {
    guard needed <= UInt64(remaining) else {
      throw failure(
        .truncated(field: "\(field)", offset: offset, needed: needed, available: remaining))
    }
    defer { position += Int(needed) }
    return position
  }
}
