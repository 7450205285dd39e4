import VLMContainer
import VLMFoundation

/// The header of a delta, its first 192 bytes.
struct DeltaHeader: Equatable {
  var operationCount: Int
  /// Bytes of the delta.
  var byteCount: Int
  var tableOffset: Int
  var tableHash: UInt64
  var base: ModelIdentity
  var target: ModelIdentity

  func encoded() -> [UInt8] {
    var bytes = DeltaFormat.magic
    bytes.append(little: DeltaFormat.version)
    bytes.appendZeros(2)
    bytes.append(little: UInt32(operationCount))
    bytes.append(little: UInt64(byteCount))
    bytes.append(little: UInt64(tableOffset))
    bytes.append(little: tableHash)
    for model in [base, target] {
      bytes.append(little: UInt64(model.byteCount))
      bytes.append(little: model.headerHash)
      bytes += model.rootHash
    }
    bytes.appendZeros(DeltaFormat.hashedHeaderSize - bytes.count)
    bytes.append(little: XXH64.hash(bytes))
    return bytes
  }

  /// Reads and validates the header of `file`, the bytes of the whole file.
  init(_ file: UnsafeRawBufferPointer, path: String) throws(DeltaError) {
    func fail(_ problem: DeltaError.Problem, at place: DeltaError.Place = .header) -> DeltaError {
      DeltaError(path: path, place: place, problem)
    }
    // A file that ends within the magic is a truncated delta.
    let isOurs = file.prefix(DeltaFormat.magic.count).elementsEqual(
      DeltaFormat.magic.prefix(file.count))
    if !isOurs {
      guard let kind = FileKind.sniff(file) else {
        throw fail(.broken(.d02, "is no .vlmzd delta: the signature is missing"), at: .file)
      }
      guard !file.prefix(5).elementsEqual(DeltaFormat.magic.prefix(5)) else {
        throw fail(
          .broken(
            .d02, "is damaged: the signature of a .vlmzd delta is changed, \(FileKind.fetchAgain)"),
          at: .file)
      }
      throw fail(.foreign(kind), at: .file)
    }
    guard file.count >= DeltaFormat.headerSize else {
      throw fail(
        .broken(
          .d01,
          "holds \(counted(file.count, "byte")), expected a header of \(DeltaFormat.headerSize)"
            + ": it is cut short, \(FileKind.fetchAgain)"),
        at: .file)
    }
    let version: UInt16 = file.little(8)
    guard version == DeltaFormat.version else {
      throw fail(
        .value(
          .d03, field: "format version", found: "\(version)",
          expected: "\(DeltaFormat.version); update vlm-convert"))
    }
    let hash = XXH64.hash(file.slice(0..<DeltaFormat.hashedHeaderSize))
    let stated: UInt64 = file.little(DeltaFormat.hashedHeaderSize)
    guard hash == stated else { throw fail(.hash(.d04, found: hash, expected: stated)) }
    guard file.little(10, as: UInt16.self) == 0,
      isZero(file.slice(136..<DeltaFormat.hashedHeaderSize))
    else { throw fail(.broken(.d05, "reserved bytes are not zero")) }
    let size: UInt64 = file.little(16)
    guard size == UInt64(file.count) else {
      let what =
        size > UInt64(file.count)
        ? "is cut short, \(FileKind.fetchAgain)" : "has bytes appended"
      throw fail(
        .broken(.d06, "states a file of \(size) bytes, found \(file.count): it \(what)"))
    }
    byteCount = file.count
    let count: UInt32 = file.little(12)
    // A negative result never equals the stated offset.
    let place = byteCount - Int(count) * DeltaFormat.entrySize
    let offset: UInt64 = file.little(24)
    guard count > 0, place >= DeltaFormat.headerSize, offset == UInt64(place) else {
      throw fail(
        .value(
          .d07, field: "table offset", found: "\(offset) of \(count) operations",
          expected: "\(place): the file's size less the operations, of which there is one"))
    }
    operationCount = Int(count)
    tableOffset = place
    tableHash = file.little(32)
    base = try Self.identity(file, at: 40, path: path)
    target = try Self.identity(file, at: 88, path: path)
  }

  init(
    operationCount: Int, byteCount: Int, tableOffset: Int, tableHash: UInt64, base: ModelIdentity,
    target: ModelIdentity
  ) {
    self.operationCount = operationCount
    self.byteCount = byteCount
    self.tableOffset = tableOffset
    self.tableHash = tableHash
    self.base = base
    self.target = target
  }

  private static func identity(
    _ file: UnsafeRawBufferPointer, at offset: Int, path: String
  ) throws(DeltaError) -> ModelIdentity {
    let size: UInt64 = file.little(offset)
    guard let byteCount = Int(exactly: size) else {
      throw DeltaError(
        path: path, place: .header,
        .value(
          offset == 40 ? .d11 : .d14, field: "size of a model", found: "\(size)",
          expected: "less than 2^63"))
    }
    return ModelIdentity(
      byteCount: byteCount, headerHash: file.little(offset + 8),
      rootHash: Array(file.slice(offset + 16..<offset + 48)))
  }
}
