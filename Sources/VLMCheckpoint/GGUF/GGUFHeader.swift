import VLMFoundation
import VLMTensor

/// The header of a GGUF file: counts, metadata and tensor descriptions.
struct GGUFHeader {
  /// A tensor's description; its position in the data has been checked.
  struct TensorInfo {
    let name: String
    let type: GGUFType
    /// Outermost extent first; the file has the reverse order.
    let shape: [Int]
    /// Byte offset from the start of the data.
    let range: Range<Int>
  }

  private(set) var metadata: GGUFMetadata
  private(set) var tensors: [TensorInfo] = []
  /// File offset of the tensor data.
  private(set) var dataStart = 0

  /// Minimum bytes of a metadata entry, and of a tensor description.
  private static let minimumEntryBytes = 8 + 1 + 4 + 1
  private static let minimumTensorBytes = 8 + 1 + 4 + 4 + 8
  private static let maximumSharedShapes = 4096

  private var reader: GGUFReader
  /// Shapes seen so far. Tensors of equal shape share one array.
  private var shapes: Set<[Int]> = []
  private(set) var alignment = GGUFFile.defaultAlignment

  /// - Parameter bytes: the whole file; the caller keeps it alive as long as the header.
  init(_ bytes: UnsafeRawBufferPointer, source: MappedFile) throws(CheckpointError) {
    reader = GGUFReader(bytes, source: source, base: 0)
    metadata = GGUFMetadata(entries: [], index: [:])
    reader.place = "GGUF header"
    _ = try reader.number("the magic", as: UInt32.self)
    let version = try reader.number("the version", as: UInt32.self)
    guard version == 2 || version == 3 else {
      let isSwapped = version.byteSwapped < 1 << 16
      throw reader.failure(
        isSwapped && version != 0
          ? .bigEndian(version: version.byteSwapped) : .version(version))
    }
    let tensorCount = try reader.count(of: "tensors", limit: GGUFFile.maximumTensors)
    let entryCount = try reader.count(of: "metadata entries", limit: GGUFFile.maximumEntries)
    try reader.requireRoom(
      for: entryCount, "metadata entries", minimumBytes: Self.minimumEntryBytes)
    try readMetadata(entryCount)
    reader.place = "GGUF header"
    try reader.requireRoom(for: tensorCount, "tensors", minimumBytes: Self.minimumTensorBytes)
    try readTensors(tensorCount)
  }

  private mutating func readMetadata(_ count: Int) throws(CheckpointError) {
    var entries: [(key: String, value: GGUFValue)] = []
    var index: [ExactString: Int] = [:]
    for position in 0..<count {
      reader.place = "metadata entry \(position)"
      let key = try reader.string("a key", limit: GGUFFile.maximumKeyBytes)
      if key.isEmpty { throw reader.failure(.emptyKey) }
      reader.place = key
      guard index.updateValue(position, forKey: ExactString(key)) == nil else {
        throw reader.failure(.duplicateKey)
      }
      let type = try reader.valueType()
      let value = try reader.value(of: type, depth: 0)
      if key == "general.alignment" { try setAlignment(value, type) }
      entries.append((key, value))
    }
    metadata = GGUFMetadata(entries: entries, index: index)
  }

  private mutating func setAlignment(
    _ value: GGUFValue, _ type: GGUFValueType
  ) throws(CheckpointError) {
    guard type == .uint32, let found = value.intValue, found > 0, found & (found - 1) == 0,
      found <= GGUFFile.maximumAlignment
    else {
      throw reader.failure(
        .alignment(type == .uint32 ? value.text : "\(value.text) of type \(type)"))
    }
    alignment = found
  }

  private mutating func readTensors(_ count: Int) throws(CheckpointError) {
    var names = Set<ExactString>()
    var end = 0
    tensors.reserveCapacity(count)
    for position in 0..<count {
      reader.place = "tensor \(position)"
      let name = try reader.string("a tensor's name", limit: GGUFFile.maximumNameBytes)
      guard !name.isEmpty else { throw failure(.emptyName) }
      reader.place = name
      if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
        throw failure(.controlCharacterInName)
      }
      guard names.insert(ExactString(name)).inserted else { throw failure(.duplicateName) }
      let shape = try readShape()
      let number = try reader.number("the tensor's type", as: UInt32.self)
      guard let type = GGUFType(number: number) else {
        throw reader.failure(
          .unknownTensorType(number, removed: GGUFType.removedName(number)))
      }
      let row = shape.last ?? 1
      guard row % type.blockElements == 0 else {
        throw reader.failure(
          .partialBlock(extent: row, type: type.name, elements: type.blockElements))
      }
      guard let byteCount = type.byteCount(shape: shape) else {
        throw failure(.sizeOverflow(shape))
      }
      let offset = try reader.number("the tensor's offset", as: UInt64.self)
      // Each tensor begins where the previous one ends, aligned: no gaps, no shared bytes.
      guard offset == UInt64(end) else {
        throw reader.failure(.offset(found: offset, expected: end))
      }
      guard let next = Self.aligned(end, plus: byteCount, to: alignment) else {
        throw failure(.sizeOverflow(shape))
      }
      tensors.append(
        TensorInfo(name: name, type: type, shape: shape, range: end..<end + byteCount))
      end = next
    }
    reader.place = "GGUF header"
    guard let start = Self.aligned(reader.offset, plus: 0, to: alignment) else {
      throw failure(.sizeOverflow([]))
    }
    dataStart = start
  }

  /// Reads the extents, which the file stores innermost first.
  private mutating func readShape() throws(CheckpointError) -> [Int] {
    let rank = try reader.number("the count of extents", as: UInt32.self)
    guard rank <= UInt32(GGUFFile.maximumRank) else {
      throw reader.failure(.tooManyExtents(rank, limit: GGUFFile.maximumRank))
    }
    var shape: [Int] = []
    for _ in 0..<rank {
      let extent = try reader.number("an extent", as: UInt64.self)
      guard let value = Int(exactly: extent), value > 0 else {
        throw reader.failure(.extent(extent))
      }
      shape.append(value)
    }
    shape.reverse()
    if let position = shapes.firstIndex(of: shape) { return shapes[position] }
    if shapes.count < Self.maximumSharedShapes { shapes.insert(shape) }
    return shape
  }

  /// `start + count`, up to the next multiple of `alignment`; nil when that overflows.
  private static func aligned(_ start: Int, plus count: Int, to alignment: Int) -> Int? {
    let (end, overflow) = start.addingReportingOverflow(count)
    let (padded, overflows) = end.addingReportingOverflow(alignment - 1)
    return overflow || overflows ? nil : padded & ~(alignment - 1)
  }

  private func failure(_ problem: CheckpointError.Problem) -> CheckpointError {
    CheckpointError(path: reader.path, place: reader.place, problem: problem)
  }
}
