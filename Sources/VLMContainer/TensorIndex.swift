import VLMFoundation
import VLMTensor

/// The tensor index section. Entries are sorted by the bytes of their names.
enum TensorIndex {
  /// A tensor with its offset relative to the tensor data.
  struct Entry {
    var name: String
    var format: TensorFormat
    var role: TensorRole
    var shape: [Int]
    var offset: Int
    var byteCount: Int
    var hash: UInt64
  }

  /// - Precondition: `entries` are sorted by name and valid.
  static func encode(_ entries: [Entry]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt32(entries.count))
    bytes.append(little: UInt32(0))
    for entry in entries {
      let name = Array(entry.name.utf8)
      bytes.append(little: UInt16(name.count))
      bytes += [
        entry.format.scheme.code, entry.format.layout.rawValue, entry.format.order.rawValue,
        entry.role.storedCode, UInt8(entry.shape.count), 0,
      ]
      bytes.append(little: UInt64(entry.offset))
      bytes.append(little: UInt64(entry.byteCount))
      bytes.append(little: entry.hash)
      for extent in entry.shape { bytes.append(little: UInt64(extent)) }
      bytes += name
      bytes.appendZeros((8 - bytes.count % 8) % 8)
    }
    return bytes
  }

  /// The hash of the tensor data: XXH64 of the tensors' hashes in index order.
  static func dataHash(_ hashes: [UInt64]) -> UInt64 {
    var bytes: [UInt8] = []
    for hash in hashes { bytes.append(little: hash) }
    return XXH64.hash(bytes)
  }

  /// The rule that `name` breaks; nil if none.
  static func problem(name: String) -> ContainerError.Problem? {
    let size = name.utf8.count
    guard (1...Format.maximumNameSize).contains(size) else {
      return .value(
        .r36, field: "name of", found: "\(size) bytes", expected: "1 to \(Format.maximumNameSize)")
    }
    // Control characters are those below the space, DEL and C1.
    let hasControl = name.unicodeScalars.contains {
      $0.value < 0x20 || (0x7f...0x9f).contains($0.value)
    }
    return hasControl ? .broken(.r37, "the name holds a control character") : nil
  }

  /// Whether `first` sorts before `second`, by bytes.
  static func ascends(_ first: String, _ second: String) -> Bool {
    first.utf8.lexicographicallyPrecedes(second.utf8)
  }

  /// Reads and validates the index.
  ///
  /// - Parameters:
  ///   - bytes: the section's bytes, whose checksum has been verified.
  ///   - data: the tensor data's entry in the section table.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, data: SectionEntry, version: Int, path: String
  ) throws(ContainerError) -> [TensorEntry] {
    func fail(_ problem: ContainerError.Problem) -> ContainerError {
      ContainerError(path: path, place: .named(.tensorIndex), problem: problem)
    }
    guard bytes.count >= Format.indexHeaderSize else {
      throw fail(
        .value(
          .r33, field: "size", found: "\(bytes.count)",
          expected: "\(Format.indexHeaderSize) or more")
      )
    }
    let count: UInt32 = bytes.little(0)
    // The shortest entry has a name of one byte, padded to eight.
    let most = (bytes.count - Format.indexHeaderSize) / (Format.indexEntrySize + 8)
    guard count >= 1, UInt64(count) <= UInt64(most) else {
      throw fail(
        .value(
          .r33, field: "tensor count", found: "\(count)",
          expected: "1 to \(most), as many as \(bytes.count) bytes can hold"))
    }
    guard bytes.little(4, as: UInt32.self) == 0 else {
      throw fail(.broken(.r43, "the reserved field is not zero"))
    }
    var reader = IndexReader(bytes, version: version, path: path)
    var entries: [Entry] = []
    entries.reserveCapacity(Int(count))
    var names = Set<String>(minimumCapacity: Int(count))
    for _ in 0..<count {
      let entry = try reader.next(after: entries.last?.name)
      guard names.insert(entry.name).inserted else {
        throw ContainerError(
          path: path, place: .tensor(entry.name),
          problem: .broken(.r39, "another name is canonically equivalent to this one"))
      }
      entries.append(entry)
    }
    guard reader.offset == bytes.count else {
      throw fail(
        .broken(
          .r35,
          counted(bytes.count - reader.offset, "byte follows", "bytes follow")
            + " the last of \(count) entries"))
    }
    try checkTiling(entries, data: data, path: path)
    let hash = dataHash(entries.map(\.hash))
    guard hash == data.storedHash else {
      throw ContainerError(
        path: path, place: .named(.tensorData),
        problem: .hash(.r48, found: hash, expected: data.storedHash))
    }
    let base = data.range.lowerBound
    return entries.map {
      TensorEntry(
        name: $0.name, format: $0.format, role: $0.role, shape: $0.shape,
        range: base + $0.offset..<base + $0.offset + $0.byteCount, checksum: $0.hash)
    }
  }

  private static func checkTiling(
    _ entries: [Entry], data: SectionEntry, path: String
  ) throws(ContainerError) {
    var end = 0
    for entry in entries.sorted(by: { $0.offset < $1.offset }) {
      guard Format.aligned(end, to: Format.alignment) == entry.offset else {
        let text = SectionTable.misplacement(
          UInt64(entry.offset), after: end, alignment: Format.alignment)
        throw ContainerError(path: path, place: .tensor(entry.name), problem: .broken(.r46, text))
      }
      let (sum, overflow) = entry.offset.addingReportingOverflow(entry.byteCount)
      guard !overflow, sum <= data.range.count else {
        throw ContainerError(
          path: path, place: .tensor(entry.name),
          problem: .broken(
            .r47,
            "\(entry.byteCount) bytes at offset \(entry.offset) end after the tensor data, "
              + "which holds \(data.range.count)"))
      }
      end = sum
    }
    guard end == data.range.count else {
      throw ContainerError(
        path: path, place: .named(.tensorData),
        problem: .value(
          .r47, field: "raw size", found: "\(data.range.count)",
          expected: "\(end), the end of the last tensor"))
    }
  }
}
