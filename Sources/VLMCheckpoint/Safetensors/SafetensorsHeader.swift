import VLMFoundation
import VLMTensor

/// Parses the header in one pass without building a tree: a header may list a million tensors.
struct SafetensorsHeader {
  private(set) var tensors: [CheckpointTensor] = []
  private(set) var metadata: [(key: String, value: String)] = []
  private(set) var warnings: [Note] = []
  private(set) var index: [ExactString: Int32] = [:]

  private let file: MappedFile
  private let dataStart: Int
  private var scanner: JSONScanner
  private var place = "header"
  private var hasMetadata = false
  private var unknownFields = 0
  /// Shapes seen so far. Tensors of equal shape share one array.
  private var shapes: Set<[Int]> = []

  private static let maximumSharedShapes = 4096

  /// - Parameter bytes: the header; the caller keeps it alive until `parse` returns.
  init(
    _ bytes: UnsafeRawBufferPointer, file: MappedFile, dataStart: Int
  ) throws(CheckpointError) {
    self.file = file
    self.dataStart = dataStart
    // The limit on the header's size also limits the number of values.
    let limits = JSONLimits(
      maximumDepth: SafetensorsFile.maximumDepth,
      maximumBytes: SafetensorsFile.maximumHeaderBytes,
      maximumNodes: SafetensorsFile.maximumHeaderBytes)
    do throws(JSONError) {
      scanner = try JSONScanner(bytes, limits: limits)
    } catch {
      throw CheckpointError(path: file.path, place: "header", problem: .json(error))
    }
    try checkEnds(bytes)
  }

  private mutating func checkEnds(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    switch bytes[0] {
    case UInt8(ascii: "{"): break
    case 0x20, 0x09, 0x0a, 0x0d: warnings.append("header: whitespace before the opening brace")
    default: throw failure(.headerNotObject(bytes[0]))
    }
    guard bytes[bytes.count - 1] == 0 else { return }
    let last = bytes.lastIndex { $0 != 0 }
    throw failure(.headerPaddedWithNul(offset: last.map { $0 + 1 } ?? 0))
  }

  mutating func parse() throws(CheckpointError) {
    try scan { (json) throws(JSONError) in try json.beginObject() }
    while let name = try nextKey() {
      if name == "__metadata__" {
        try readMetadata()
      } else {
        try readTensor(name)
      }
      place = "header"
    }
    try scan { (json) throws(JSONError) in try json.finish() }
    if unknownFields > 0 {
      warnings.append("header: unknown fields of tensors were ignored (\(unknownFields))")
    }
  }

  // MARK: Members of the header

  private mutating func readMetadata() throws(CheckpointError) {
    place = "__metadata__"
    if hasMetadata { throw failure(.duplicateName) }
    hasMetadata = true
    try expect(UInt8(ascii: "{"), "an object of strings", field: place)
    try scan { (json) throws(JSONError) in try json.beginObject() }
    var keys = Set<ExactString>()
    var size = 0
    while let key = try nextKey() {
      let value = try string(field: key)
      guard keys.insert(ExactString(key)).inserted else { throw failure(.duplicateMetadata(key)) }
      size += key.utf8.count + value.utf8.count
      if size > SafetensorsFile.maximumMetadataBytes {
        let limit = SafetensorsFile.maximumMetadataBytes
        throw failure(.metadataBeyondLimit(bytes: size, limit: limit))
      }
      metadata.append((key, value))
    }
  }

  private mutating func readTensor(_ name: String) throws(CheckpointError) {
    try checkName(name)
    place = name
    guard
      index.updateValue(Int32(truncatingIfNeeded: tensors.count), forKey: ExactString(name))
        == nil
    else { throw failure(.duplicateName) }
    try expect(UInt8(ascii: "{"), "an object", field: name)
    try scan { (json) throws(JSONError) in try json.beginObject() }
    var dtype: DType?
    var shape: [Int]?
    var offsets: [Int]?
    var unknown = Set<ExactString>()
    while let field = try nextKey() {
      switch field {
      case "dtype":
        if dtype != nil { throw failure(.duplicateField(field)) }
        let text = try string(field: field)
        dtype = DType(rawValue: text)
        if dtype == nil { throw failure(.unknownDType(text)) }
      case "shape":
        if shape != nil { throw failure(.duplicateField(field)) }
        let limit = SafetensorsFile.maximumRank
        shape = try integers(field: field, limit: limit, beyond: .rankBeyondLimit(limit: limit))
      case "data_offsets":
        if offsets != nil { throw failure(.duplicateField(field)) }
        offsets = try integers(field: field, limit: 2, beyond: .wrongOffsetCount)
        if offsets?.count != 2 { throw failure(.wrongOffsetCount) }
      default:
        guard unknown.insert(ExactString(field)).inserted else {
          throw failure(.duplicateField(field))
        }
        unknownFields += 1
        try scan { (json) throws(JSONError) in _ = try json.value() }
      }
    }
    guard let dtype else { throw failure(.missingField("dtype")) }
    guard let shape else { throw failure(.missingField("shape")) }
    guard let offsets else { throw failure(.missingField("data_offsets")) }
    let range = try dataRange(offsets[0], offsets[1], dtype: dtype, shape: shape)
    tensors.append(
      CheckpointTensor(
        name: name, dtype: dtype, shape: shared(shape), source: file, range: range))
  }

  private func checkName(_ name: String) throws(CheckpointError) {
    let limit = SafetensorsFile.maximumNameBytes
    if name.isEmpty { throw failure(.emptyName) }
    if name.utf8.count > limit { throw failure(.nameTooLong(bytes: name.utf8.count, limit: limit)) }
    if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
      throw CheckpointError(path: file.path, place: name, problem: .controlCharacterInName)
    }
  }

  /// The tensor's byte range in the file, after checking offsets, shape, dtype and file size.
  private func dataRange(
    _ begin: Int, _ end: Int, dtype: DType, shape: [Int]
  ) throws(CheckpointError) -> Range<Int> {
    if begin > end { throw failure(.offsetsReversed(begin: begin, end: end)) }
    guard let expected = dtype.byteCount(shape: shape) else {
      let isPartial =
        dtype.bitCount < 8
        && DType.u8.byteCount(shape: shape).map {
          !$0.multipliedReportingOverflow(by: dtype.bitCount).overflow
        } ?? false
      throw failure(
        isPartial ? .partialBytes(shape: shape, bits: dtype.bitCount) : .sizeOverflow(shape))
    }
    if end - begin != expected {
      throw failure(.sizeMismatch(found: end - begin, expected: expected))
    }
    let available = file.count - dataStart
    if end > available { throw failure(.dataTruncated(end: end, available: available)) }
    return dataStart + begin..<dataStart + end
  }

  private mutating func shared(_ shape: [Int]) -> [Int] {
    if let position = shapes.firstIndex(of: shape) { return shapes[position] }
    if shapes.count < Self.maximumSharedShapes { shapes.insert(shape) }
    return shape
  }

  // MARK: Values

  private mutating func nextKey() throws(CheckpointError) -> String? {
    try scan { (json) throws(JSONError) in try json.nextKey() }
  }

  private mutating func string(field: String) throws(CheckpointError) -> String {
    try expect(UInt8(ascii: "\""), "a string", field: field)
    return try scan { (json) throws(JSONError) in try json.string() }
  }

  /// An array of at most `limit` non-negative integers.
  private mutating func integers(
    field: String, limit: Int, beyond: CheckpointError.Problem
  ) throws(CheckpointError) -> [Int] {
    try expect(UInt8(ascii: "["), "an array of integers", field: field)
    try scan { (json) throws(JSONError) in try json.beginArray() }
    var values: [Int] = []
    while try scan({ (json) throws(JSONError) in try json.nextElement() }) {
      if values.count == limit { throw failure(beyond) }
      values.append(try integer(field: field))
    }
    return values
  }

  private mutating func integer(field: String) throws(CheckpointError) -> Int {
    let expected = "a non-negative 63-bit integer"
    let first = try scan { (json) throws(JSONError) in try json.peek() }
    guard first == UInt8(ascii: "-") || Self.kind(first) == "a number" else {
      throw failure(.wrongType(field: field, found: Self.kind(first), expected: expected))
    }
    let number = try scan { (json) throws(JSONError) in try json.number() }
    guard let value = number.intValue, value >= 0 else {
      throw failure(.wrongType(field: field, found: number.serialized(), expected: expected))
    }
    return value
  }

  private mutating func expect(
    _ byte: UInt8, _ expected: String, field: String
  ) throws(CheckpointError) {
    let first = try scan { (json) throws(JSONError) in try json.peek() }
    if first != byte {
      throw failure(.wrongType(field: field, found: Self.kind(first), expected: expected))
    }
  }

  /// The kind of the JSON value that starts with `byte`.
  private static func kind(_ byte: UInt8) -> String {
    switch byte {
    case UInt8(ascii: "{"): "an object"
    case UInt8(ascii: "["): "an array"
    case UInt8(ascii: "\""): "a string"
    case UInt8(ascii: "t"), UInt8(ascii: "f"): "a boolean"
    case UInt8(ascii: "n"): "null"
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): "a number"
    default: "no JSON value"
    }
  }

  private func failure(_ problem: CheckpointError.Problem) -> CheckpointError {
    CheckpointError(path: file.path, place: place, problem: problem)
  }

  private mutating func scan<R>(
    _ body: (inout JSONScanner) throws(JSONError) -> R
  ) throws(CheckpointError) -> R {
    do throws(JSONError) {
      return try body(&scanner)
    } catch {
      throw failure(.json(error))
    }
  }
}
